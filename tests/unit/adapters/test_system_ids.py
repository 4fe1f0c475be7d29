"""Identifiers from the system's generator: made many at a time, none of them twice."""

from concurrent.futures import ThreadPoolExecutor

from pbx.adapters.ids import TOKENS_AT_ONCE, SystemIds


def test_no_token_comes_twice_also_across_threads() -> None:
    ids = SystemIds()
    with ThreadPoolExecutor(4) as pool:
        lots = list(pool.map(lambda _: [ids.token() for _ in range(2 * TOKENS_AT_ONCE + 3)], range(4)))
    tokens = [token for lot in lots for token in lot]
    assert len(set(tokens)) == len(tokens) == 4 * (2 * TOKENS_AT_ONCE + 3)
    assert all(len(token) == 16 and int(token, 16) >= 0 for token in tokens)
    assert ids.token("leg-").startswith("leg-")
