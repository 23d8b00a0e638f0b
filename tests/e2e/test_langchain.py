"""LangChain's ChatOpenAI works unchanged against the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import openai
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

if TYPE_CHECKING:
    from conftest import ServerProcess

MESSAGES = [SystemMessage("You are brief."), HumanMessage("Say hello.")]


@pytest.fixture(scope="module")
def chat(server: ServerProcess, model: str) -> ChatOpenAI:
    return ChatOpenAI(
        base_url=f"{server.url}/v1",
        api_key="unused",
        model=model,
        temperature=0,
        max_tokens=6,
        max_retries=0,
        timeout=120,
    )


def test_invoke(chat: ChatOpenAI) -> None:
    answer = chat.invoke(MESSAGES)
    assert answer.content
    assert answer.response_metadata["finish_reason"] in ("stop", "length")
    assert 0 < answer.usage_metadata["output_tokens"] <= 6


def test_stream_equals_whole(chat: ChatOpenAI) -> None:
    whole = chat.invoke(MESSAGES)
    parts = list(chat.stream(MESSAGES, stream_usage=True))
    assert "".join(part.content for part in parts) == whole.content
    usages = [part.usage_metadata for part in parts if part.usage_metadata]
    assert sum(usage["output_tokens"] for usage in usages) == whole.usage_metadata["output_tokens"]


def test_batch_and_chain(chat: ChatOpenAI) -> None:
    chain = ChatPromptTemplate.from_messages([("user", "Count to {number}.")]) | chat | StrOutputParser()
    answers = chain.batch([{"number": 3}, {"number": 4}, {"number": 5}])
    assert len(answers) == 3 and all(answers)


def test_async(chat: ChatOpenAI) -> None:
    async def text() -> str:
        return "".join([part.content async for part in chat.astream(MESSAGES)])

    assert asyncio.run(text()) == chat.invoke(MESSAGES).content


def test_stop_and_errors(chat: ChatOpenAI) -> None:
    whole = chat.invoke(MESSAGES).content
    stop = whole[len(whole) // 2]
    assert chat.invoke(MESSAGES, stop=[stop]).content == whole.split(stop)[0]
    with pytest.raises(openai.NotFoundError):
        chat.bind(model="no-such-model").invoke(MESSAGES)
