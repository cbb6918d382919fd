"""IS it sound: names, types, loop nest, joins, fingerprints. Proves what can be proven before anything runs."""
