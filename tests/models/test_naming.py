"""Names of models, what is loaded when, and what never gets out."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from loomgraph.errors import DefinitionError, ModelAuthenticationError, ModelNameError
from loomgraph.errors.redaction import redact, redacted
from loomgraph.models import EchoModel, request_of, resolve_model
from loomgraph.models import naming as names
from loomgraph.models.adapter import Adapter, Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "kind", "called", "address"),
    [
        ("openai:gpt-5.2", "OpenAIModel", "openai:gpt-5.2", None),
        ("openai-chat:gpt-5.2", "OpenAIChatModel", "openai-chat:gpt-5.2", None),
        ("anthropic:claude-sonnet-5", "AnthropicModel", "anthropic:claude-sonnet-5", None),
        ("litellm:groq/llama", "LiteLLMModel", "litellm:groq/llama", None),
        ("openai-chat:llama3:8b@http://localhost:11434/v1", "OpenAIChatModel", "openai-chat:llama3:8b",
         "http://localhost:11434/v1"),
        ("openai:m@https://a.example/v1", "OpenAIModel", "openai:m", "https://a.example/v1"),
    ],
)  # fmt: skip
def test_a_string_names_a_model_and_where_it_is(name: str, kind: str, called: str, address: str | None) -> None:
    model = resolve_model(name)
    assert isinstance(model, Adapter)
    assert (type(model).__name__, model.name, model.settings.base_url) == (kind, called, address)


def test_a_model_is_itself_and_options_reach_the_adapter() -> None:
    echo = EchoModel()
    assert resolve_model(echo) is echo
    assert resolve_model("echo").name == "echo"
    assert resolve_model("echo:b").name == "echo:b"
    model = resolve_model("openai:m", timeout=5, api_key="k")
    assert isinstance(model, Adapter)
    assert model.settings == Settings(timeout=5, api_key="k")
    assert "'k'" not in repr(model.settings)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("opnai:gpt-5", "'opnai' is no kind of model. Did you mean 'openai:gpt-5'?"),
        ("gpt-5", "it has no kind in front. Models are written 'anthropic:NAME', 'echo', "),
        ("ech", "Did you mean 'echo'?"),
        ("openai", "the name of the model is missing"),
        ("openai:", "the name of the model is missing"),
        ("", "names no model"),
    ],
)
def test_a_string_that_names_no_model_is_refused_with_what_would(name: str, said: str) -> None:
    with pytest.raises(ModelNameError) as caught:
        resolve_model(name)
    assert said in str(caught.value)


def test_a_package_offers_a_kind_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = EntryPoint("mine", "loomgraph.models.echo:EchoModel", names.ENTRY_POINTS)
    monkeypatch.setattr(names, "entry_points", lambda group: [mine])
    assert resolve_model("mine:a").name == "echo:a"
    assert "mine" in names.model_kinds()
    monkeypatch.setattr(names, "entry_points", lambda group: [mine, EntryPoint("mine", "b:c", group)])
    with pytest.raises(ModelNameError, match="several packages offer 'mine': b:c, loomgraph"):
        resolve_model("mine:a")


@pytest.mark.parametrize("settings", [{"timeout": 0}, {"connect_timeout": -1}])
def test_a_timeout_that_lets_nothing_through_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="must be > 0"):
        resolve_model("openai:m", **settings)


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_models_are_made_and_named_without_any_sdk() -> None:
    code = (
        "import sys\n"
        "from loomgraph.models import *\n"
        "import loomgraph.testing.models\n"
        "[resolve_model(f'{kind}:m') for kind in ('openai', 'openai-chat', 'anthropic', 'litellm', 'echo')]\n"
        "print(sorted({'openai', 'anthropic', 'litellm', 'httpx2', 'httpx'} & set(sys.modules)))"
    )
    assert _run(code) == "[]"


def test_a_missing_sdk_says_what_to_install() -> None:
    kinds = {"openai": "openai", "openai-chat": "openai", "anthropic": "anthropic", "litellm": "litellm"}
    code = (
        "import sys, anyio\n"
        "sys.modules |= dict.fromkeys(('openai', 'anthropic', 'litellm', 'httpx2'))\n"
        "from loomgraph.models import *\n"
        "from loomgraph.errors import ModelMissingError\n"
        f"for kind in {list(kinds)}:\n"
        "    try: anyio.run(resolve_model(kind + ':m', api_key='k').generate, request_of('q'))\n"
        "    except ModelMissingError as error: print(error.extra, error)"
    )
    lines = _run(code).splitlines()
    assert len(lines) == len(kinds)
    for line, (kind, extra) in zip(lines, kinds.items(), strict=True):
        assert line.startswith(f"{extra} model '{kind}:m' needs the package")
        assert f"pip install 'loomgraph-engine[{extra}]'" in line


@pytest.mark.parametrize("name", ["openai:m", "openai-chat:m", "anthropic:m"])
@pytest.mark.anyio
async def test_without_a_key_it_is_an_authentication_error_and_nothing_is_sent(name: str) -> None:
    pytest.importorskip("openai", reason="openai is not installed", exc_type=ImportError)
    pytest.importorskip("anthropic", reason="anthropic is not installed", exc_type=ImportError)
    with pytest.raises(ModelAuthenticationError):
        await resolve_model(name).generate(request_of("q"))


# ---------------------------------------------------------------------- secrets

KEY = "abcdEFGH1234567890abcd"


@pytest.mark.parametrize(
    "secret",
    [
        f"sk-{KEY}", f"sk-proj-{KEY}", f"sk-ant-api03-{KEY}", f"ghp_{KEY}", f"xoxb-{KEY}", f"hf_{KEY}", f"gsk_{KEY}",
        "AKIAABCDEFGHIJKLMNOP", f"AIza{KEY}abcdefghijk", f"eyJhbGciOiJI.eyJzdWIiOiIx.{KEY}",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
    ],
)  # fmt: skip
def test_the_known_shapes_of_keys_are_taken_out_of_a_text(secret: str) -> None:
    assert redact(f"before {secret} after", {}) == "before [redacted] after"


def test_tokens_in_headers_and_passwords_in_addresses_are_taken_out() -> None:
    assert redact(f"Authorization: Bearer {KEY}!", {}) == "Authorization: Bearer [redacted]!"
    assert redact("postgresql://me:hunter22@db/x", {}) == "postgresql://[redacted]@db/x"


def test_the_values_of_secret_variables_are_taken_out_by_name_and_ordinary_ones_are_not() -> None:
    environment = {"MY_TOKEN": "open sesame", "HOME": "/home/somebody", "A_KEY": "short", "KEYBOARD": "qwertyuiop"}
    text = "open sesame, /home/somebody, short, qwertyuiop"
    assert redact(text, environment) == "[redacted MY_TOKEN], /home/somebody, short, qwertyuiop"


@pytest.mark.parametrize("text", ["a task-oriented skill", "sk-learn", "http://a.example/x@y", "bearer of news", ""])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact(text, {}) == text


def test_a_json_value_is_redacted_wherever_a_string_is() -> None:
    value = {f"sk-{KEY}": [{"a": f"sk-{KEY}", "n": 1, "none": None}]}
    assert redacted(value) == {"[redacted]": [{"a": "[redacted]", "n": 1, "none": None}]}
