"""The user's prices first, then those of an installed table, else none."""

from __future__ import annotations

import socket
from importlib.util import find_spec

import pytest

from gentool.config import Prices, ServerConfig
from gentool.llm import prices
from gentool.llm.prices import cost_of, find_prices

MINE = Prices(input=0.15, output=0.6)


def test_cost() -> None:
    assert cost_of(MINE, 2_000_000, 1_000_000) == pytest.approx(0.9)


def test_the_user_s_table_goes_first() -> None:
    server = ServerConfig(model="gpt-4o-2024-08-06")
    assert find_prices(server, {"gpt-4o-2024-08-06": MINE, "gpt-4o": Prices(input=1, output=1)}) == MINE


@pytest.mark.skipif(find_spec("genai_prices") is None, reason="genai-prices is not installed")
def test_genai_prices_are_used_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", None)
    assert find_prices(ServerConfig(model="gpt-4o-2024-08-06"), {}) == Prices(input=2.5, output=10)
    router = ServerConfig(model="openai/gpt-4o-mini", base_url="https://openrouter.ai/api/v1")
    assert find_prices(router, {"other": MINE}) == MINE


@pytest.mark.parametrize("model", ["gpt-4o", "no-such-model"])
def test_a_server_of_one_s_own_has_no_known_price(model: str) -> None:
    assert find_prices(ServerConfig(model=model, base_url="http://127.0.0.1:8000/v1"), {}) is None
    assert find_prices(ServerConfig(model="no-such-model"), {}) is None


def test_without_genai_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prices, "find_spec", lambda name: None)
    assert find_prices(ServerConfig(model="gpt-4o-2024-08-06"), {}) is None
