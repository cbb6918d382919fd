"""stub"""
from __future__ import annotations
import hashlib
from loomgraph.graph.definition import Definition, NodeDef

def node_fingerprint(node: NodeDef) -> str:
    return hashlib.sha256(node.name.encode()).hexdigest()

def graph_fingerprint(definition: Definition) -> str:
    return hashlib.sha256(definition.name.encode()).hexdigest()
