"""llama-server's own routes, as its clients use them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openai
    from conftest import ServerProcess


def test_completion_equals_openais(server: ServerProcess, client: openai.OpenAI, model: str) -> None:
    prompt = "One, two, three,"
    reply = server.post("/completion", {"prompt": prompt, "n_predict": 6, "temperature": 0, "return_tokens": True})
    other = client.completions.create(model=model, prompt=prompt, max_tokens=6, temperature=0)
    assert reply["content"] == other.choices[0].text
    assert reply["stop_type"] in ("limit", "eos")
    assert reply["timings"]["predicted_per_second"] > 0
    assert len(reply["tokens"]) == reply["tokens_predicted"]


def test_facts(server: ServerProcess) -> None:
    props = server.get("/props")
    slots = server.get("/slots")
    assert props["total_slots"] == len(slots)
    assert props["default_generation_settings"]["n_ctx"] == slots[0]["n_ctx"]
