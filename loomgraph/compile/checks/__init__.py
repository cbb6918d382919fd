"""The checks: small generators of findings, each naming nodes and the call that would mend it. None of them raises."""
