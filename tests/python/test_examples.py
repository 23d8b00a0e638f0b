"""The examples of bindings/python/examples work as they are."""

from __future__ import annotations

import sys

import mlx_serving
import nbformat
from conftest import ROOT
from fastapi.testclient import TestClient
from langchain_core.messages import HumanMessage, SystemMessage
from nbclient import NotebookClient

EXAMPLES = ROOT / "bindings" / "python" / "examples"
sys.path.insert(0, str(EXAMPLES))

import fastapi_app  # noqa: E402
import langchain_model  # noqa: E402


def test_fastapi(engine: mlx_serving.Engine):
    with TestClient(fastapi_app.make_app(engine)) as client:
        text = client.get("/ask", params={"question": "hi"}).text
    assert text == engine.chat([{"role": "user", "content": "hi"}], max_tokens=64, temperature=0).text


def test_langchain(engine: mlx_serving.Engine):
    model = langchain_model.ChatMlxServing(engine=engine, max_tokens=12)
    answer = model.invoke([SystemMessage("be brief"), HumanMessage("hi")], temperature=0)
    assert len(answer.content) == 12


def test_notebook():
    notebook = nbformat.read(EXAMPLES / "notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert outputs[1][0]["text"] == "zuqcsczuyg\n"
    assert outputs[2][0]["data"]["text/plain"] == "[8, 8]"
