"""Claims about references: what counts as one, and what an argument becomes when it is replaced."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loomgraph.tools.references import PathError, Syntax, find_references, may_refer, replace_references

VALUES: dict[str, Any] = {
    "E1": {"name": "Ada", "tags": ["x", "y"], "deep": [{"a b": 7}]},
    "2": 41.5,
    "var3": [1, 2, 3],
    "call_9": "text",
}


def replaced(argument: Any, syntax: Syntax = "plan") -> Any:
    return replace_references(argument, VALUES, syntax, VALUES.__getitem__)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("#E1", VALUES["E1"]),
        ("$E1", VALUES["E1"]),
        ("$1", VALUES["E1"]),
        ("${E1}", VALUES["E1"]),
        ("{{E1}}", VALUES["E1"]),
        ("{{ E1.name }}", "Ada"),
        ("#E1.tags[1]", "y"),
        ('{{E1.deep[0]["a b"]}}', 7),
        ("$E1.deep[0].a b$", 7),
        ("#E2", 41.5),
        ("$2", 41.5),
        ("$var3$", [1, 2, 3]),
        ("$var3[2]$", 3),
        ("{{call_9}}", "text"),
        ("#call_9", "text"),
        ("#var3[2]", 3),
        ("#ff0000", "#ff0000"),
        (["$2", {"k": "$var3"}], [41.5, {"k": [1, 2, 3]}]),
        (5, 5),
        (None, None),
    ],
)
def test_a_whole_argument_becomes_the_value_with_its_type(written: Any, value: Any) -> None:
    assert replaced(written) == value


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("abs($2 - 1)", "abs(41.5 - 1)"),
        ("Given context: #E1.name, and #E2?", "Given context: Ada, and 41.5?"),
        ("list: {{var3}}.", "list: [1,2,3]."),
        ("said {{call_9}}", "said text"),
        ("it costs $100 or $2.50, not $7", "it costs $100 or $2.50, not $7"),
        ("the #1 song, issue #2", "the #1 song, issue #2"),
        ("from #call_9-#E2 on, #later", "from text-41.5 on, #later"),
        ("$var3 and $var3", "[1,2,3] and [1,2,3]"),
        ("$HOME stays", "$HOME stays"),
        ("", ""),
    ],
)
def test_inside_text_a_reference_becomes_text_and_prices_stay(written: str, text: str) -> None:
    assert replaced(written) == text


@pytest.mark.parametrize("text", ["awk '{print $1}'", "#E1", "$var3$", "${E1}", "Dear {{name}}, {{ you }}", "{{E9}}"])
def test_calls_of_a_chat_model_refer_by_id_in_double_braces_only(text: str) -> None:
    assert replaced(text, "ids") == text
    assert find_references(text, VALUES, "ids") == []
    assert replaced("{{call_9}} {{E1.name}}", "ids") == "text Ada"


@pytest.mark.parametrize("written", ["#E9", "$9", "{{E9}}", "${E9}", "see #E9.x", "a {{nobody}} b", "$nobody.field$"])
def test_a_reference_to_nothing_is_found_and_marked(written: str) -> None:
    [reference] = find_references(written, VALUES, "plan")
    assert not reference.known
    assert reference.text in written


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("#E1.nme", "#E1.nme asks for 'nme', but the result of 'E1' has the fields 'name', 'tags', 'deep'."),
        ("{{E1.tags[5]}}", "{{E1.tags[5]}} asks for 5, but the result of 'E1' at .tags is a list of 2."),
        ("$2.x", "$2.x asks for 'x', but the result of '2' is a float."),
        ("{{call_9[0]}}", "{{call_9[0]}} asks for 0, but the result of 'call_9' is a str."),
        ("{{var3.length}}", "{{var3.length}} asks for 'length', but the result of 'var3' is a list of 3."),
    ],
)
def test_a_path_that_leads_nowhere_says_where_it_ends_and_what_is_there(written: str, message: str) -> None:
    with pytest.raises(PathError) as caught:
        replaced(written)
    assert str(caught.value) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(JSON)
def test_arguments_without_a_known_id_pass_through_unharmed(argument: Any) -> None:
    assert replace_references(argument, (), "ids", VALUES.__getitem__) == argument


@given(JSON)
def test_a_value_is_never_read_for_references_again(value: Any) -> None:
    assert replace_references("{{a}}", ["a"], "ids", lambda _: value) == value
    text = replace_references("<{{a}}>", ["a"], "ids", lambda _: "{{a}}")
    assert text == "<{{a}}>"


def test_what_a_name_alone_means_depends_on_whether_a_call_of_it_is_there() -> None:
    for arguments, open_ in (
        ({"x": ["#later"]}, True),
        ({"x": "#later.field[0]"}, True),
        ({"x": "#call_9"}, False),
        ({"x": "a #later word"}, False),
        ({"x": "#E1b"}, False),
        ({"x": "#E9"}, False),  # that can be nothing but a reference
    ):
        assert may_refer(arguments, VALUES) is open_
