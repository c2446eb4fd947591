"""The guards that keep tests honest: no network, no live model."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from tests.plugins.no_live_model import LiveModelForbidden
from tests.plugins.no_network import NetworkForbidden

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
DOCUMENTATION_ADDRESS = "192.0.2.1"  # RFC 5737: never routed


class TestNoNetwork:
    def test_a_connection_is_refused(self, refusals) -> None:
        with socket.socket() as opened, pytest.raises(NetworkForbidden, match=DOCUMENTATION_ADDRESS):
            opened.connect((DOCUMENTATION_ADDRESS, 443))

        assert refusals == [DOCUMENTATION_ADDRESS]

    def test_a_datagram_is_refused(self, refusals) -> None:
        with (
            socket.socket(type=socket.SOCK_DGRAM) as opened,
            pytest.raises(NetworkForbidden, match=DOCUMENTATION_ADDRESS),
        ):
            opened.sendto(b"x", (DOCUMENTATION_ADDRESS, 53))

    def test_this_machine_is_refused_too_without_the_integration_marker(self, refusals) -> None:
        with socket.socket() as opened, pytest.raises(NetworkForbidden):
            opened.connect(("127.0.0.1", 1))

    async def test_a_look_up_from_the_event_loop_is_refused(self, refusals) -> None:
        with pytest.raises(NetworkForbidden):
            await asyncio.get_running_loop().getaddrinfo("example.com", 443)

    def test_a_test_that_swallows_the_refusal_fails(self, pytester, monkeypatch) -> None:
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        pytester.makeconftest("pytest_plugins = ['tests.plugins.no_network']")
        pytester.makepyfile(
            """
            import contextlib, socket

            def test_quiet():
                with contextlib.suppress(Exception), socket.socket() as opened:
                    opened.connect(("192.0.2.1", 443))
            """
        )

        result = pytester.runpytest_subprocess("-p", "no:cacheprovider")

        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines("*swallowed a refused connection to 192.0.2.1*")


class TestNoLiveModel:
    def test_a_provider_model_cannot_be_built(self) -> None:
        from langchain_core.language_models.chat_models import BaseChatModel

        live = type("ChatProvider", (BaseChatModel,), {"__module__": "langchain_provider.chat"})

        with pytest.raises(LiveModelForbidden, match=r"langchain_provider\.chat\.ChatProvider"):
            live()

    @pytest.mark.integration
    def test_a_provider_model_may_be_built_for_a_server_on_this_machine_only(self) -> None:
        from langchain_core.language_models.fake_chat_models import FakeListChatModel

        live = type("Live", (FakeListChatModel,), {"__module__": "langchain_provider.chat"})

        assert live(responses=[], base_url="http://127.0.0.1:8080/v1")
        for url in ("https://api.openai.com/v1", "http://127.0.0.1.evil.example/v1", None):
            with pytest.raises(LiveModelForbidden):
                live(responses=[], base_url=url)

    def test_a_provider_model_for_this_machine_is_for_integration_tests(self) -> None:
        from langchain_core.language_models.fake_chat_models import FakeListChatModel

        live = type("Live", (FakeListChatModel,), {"__module__": "langchain_provider.chat"})

        with pytest.raises(LiveModelForbidden):
            live(responses=[], base_url="http://127.0.0.1:8080/v1")

    def test_a_scripted_model_answers(self) -> None:
        from langchain_core.language_models.fake_chat_models import FakeListChatModel

        model = FakeListChatModel(responses=["benign"])

        assert model.invoke("what is it?").content == "benign"
