"""A configuration file and a file of API keys, as an operator uses them."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import cli_support
import openai
import pytest

if TYPE_CHECKING:
    from pathlib import Path


def test_config_check_and_schema(tmp_path: Path) -> None:
    sound = tmp_path / "sound.yaml"
    sound.write_text("port: 8081\nmodel_aliases: [small]\n")
    done = cli_support.run("config", "check", str(sound))
    assert done.returncode == 0, done.stderr
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("port: 8081\nprot: 8082\n")
    assert f"{wrong}:2:" in cli_support.expect_error(2, "config", "check", str(wrong))
    assert f"{wrong}:2:" in cli_support.expect_error(2, "serve", "--config", str(wrong))
    schema = json.loads(cli_support.run("config", "schema").stdout)
    assert schema["properties"]["port"]["type"] == "integer"


def test_serve_reads_a_config_and_keys(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"alice {hashlib.sha256(b'secret').hexdigest()} max_open=2\n")
    config = tmp_path / "serve.yaml"
    config.write_text(f"api_keys: {keys}\nmodel_aliases: [small]\nresponses_store: {tmp_path}/responses.db\n")
    with cli_support.Server("--config", str(config)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="secret", max_retries=0)
        assert "small" in [model.id for model in client.models.list().data]
        reply = client.responses.create(model="small", input="Say hello.", max_output_tokens=2)
        with pytest.raises(openai.AuthenticationError):
            client.with_options(api_key="wrong").models.list()
    with cli_support.Server("--config", str(config)) as server:
        client = openai.OpenAI(base_url=f"{server.url}/v1", api_key="secret", max_retries=0)
        assert client.responses.retrieve(reply.id).output_text == reply.output_text
