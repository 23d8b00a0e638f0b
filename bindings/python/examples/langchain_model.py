"""The engine as a chat model of LangChain."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import ConfigDict

from mlx_serving import Engine

ROLES = {"human": "user", "ai": "assistant", "system": "system"}


class ChatMlxServing(BaseChatModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    engine: Engine
    max_tokens: int = 64

    @property
    def _llm_type(self) -> str:
        return "mlx-serving"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        conversation = [{"role": ROLES[message.type], "content": message.content} for message in messages]
        answer = self.engine.chat(conversation, stop=stop, max_tokens=self.max_tokens, **kwargs)
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=answer.text))])
