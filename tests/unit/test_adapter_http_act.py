"""Effects over HTTP: sent once, never followed, no credential elsewhere; and how TLS is verified."""

from __future__ import annotations

import ssl

import pytest

from adapters.net.http_act import HttpActor
from adapters.net.origin import Credential, Origin, context_for
from adapters.secrets import Secret
from state.errors import EffectRefused, EffectUnknown
from tests.contract.web import canned


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_reaches_nobody_and_is_unknown(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with canned({}) as other:
        monkeypatch.setenv("http_proxy", other.url)
        raw = f"HTTP/1.1 {status} X\r\nLocation: {other.url}/x\r\nContent-Length: 0\r\n\r\n".encode()
        async with canned({"POST /x": raw}) as server:
            actor = HttpActor(Origin.of(server.url), credential=Credential(Secret("pw"), "rec"))
            with pytest.raises(EffectUnknown) as unknown:
                await actor.send("POST", "/x", {"a": 1}, deadline=1)
            assert unknown.value.code == "redirect"
            assert len(server.asked) == 1
        assert other.connections == 0


async def test_a_whole_answer_is_given_whatever_its_status() -> None:
    async with canned({"POST /x": (503, "failed"), "DELETE /x": (200, "gone")}) as server:
        actor = HttpActor(Origin.of(server.url))
        assert (await actor.send("POST", "/x", {}, deadline=1)).status == 503
        assert (await actor.send("DELETE", "/x", None, deadline=1)).text == "gone"


@pytest.mark.parametrize("method", ["POST", "DELETE", "PUT"])
async def test_a_request_without_an_answer_is_not_sent_again(method: str) -> None:
    async with canned({f"{method} /x": b""}) as server:
        with pytest.raises(EffectUnknown) as unknown:
            await HttpActor(Origin.of(server.url)).send(method, "/x", None, deadline=1)
        assert unknown.value.code == "reset"
        assert len(server.asked) == server.connections == 1


async def test_an_answer_in_an_unknown_encoding_is_unknown() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nok"
    async with canned({"POST /x": raw}) as server:
        with pytest.raises(EffectUnknown) as unknown:
            await HttpActor(Origin.of(server.url)).send("POST", "/x", None, deadline=1)
        assert unknown.value.code == "encoding"


async def test_failing_before_the_request_is_certain() -> None:
    async with canned({}) as server:
        for url in ("http://127.0.0.1:1", server.url.replace("http:", "https:")):
            with pytest.raises(EffectRefused) as refusal:
                await HttpActor(Origin.of(url)).send("POST", "/x", {}, deadline=1)
            assert refusal.value.code == "unreachable"
        assert server.asked == []


@pytest.mark.parametrize("url", ["https://db.example", "https://127.0.0.1", "https://localhost", "https://[::1]"])
def test_tls_is_verified_on_this_machine_too(url: str) -> None:
    made = context_for(Origin.of(url), None)
    assert made is not None
    assert (made.verify_mode, made.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_plain_text_has_no_tls() -> None:
    assert context_for(Origin.of("http://127.0.0.1"), None) is None
