"""What tokens cost: from the user's table, or from genai-prices where that is installed."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from gentool.config import Prices, ServerConfig

MILLION = 1_000_000
_SAMPLE = 1000  # tokens: below the sizes from which some providers charge more


def cost_of(prices: Prices, prompt_tokens: float, completion_tokens: float) -> float:
    """US dollars."""
    return (prompt_tokens * prices.input + completion_tokens * prices.output) / MILLION


def find_prices(server: ServerConfig, table: Mapping[str, Prices]) -> Prices | None:
    """The prices of a server's model: the table's (by the model's name), else those of genai-prices; else ``None``.

    genai-prices is asked for the provider at the server's address, in the copy that is installed; nothing is fetched.
    """
    if server.model in table:
        return table[server.model]
    if find_spec("genai_prices") is None:
        return None
    from genai_prices import Usage, calc_price

    try:
        prompt = calc_price(
            Usage(input_tokens=_SAMPLE), server.model, provider_api_url=server.base_url
        ).total_price
        completion = calc_price(
            Usage(output_tokens=_SAMPLE), server.model, provider_api_url=server.base_url
        ).total_price
    except LookupError:
        return None
    factor = MILLION / _SAMPLE
    return Prices(input=float(prompt) * factor, output=float(completion) * factor)
