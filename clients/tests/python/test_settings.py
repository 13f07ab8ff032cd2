"""Chat settings through the Python client."""

from uuid import UUID

from agent_api_client import AuthenticatedClient
from agent_api_client.api.settings import get_chat_settings, update_chat_settings
from agent_api_client.models import ChatSettings, ChatSettingsUpdate

from clients.tests.python.calls import expect

AGENT = UUID("019bb138-1000-71fb-ba17-0b3339263059")


def test_settings_are_defaults_until_they_are_saved(maria: AuthenticatedClient) -> None:
    settings = expect(ChatSettings, get_chat_settings.sync(client=maria))
    assert (settings.id, settings.created_at, settings.temperature) == (None, None, 0.7)

    wanted = ChatSettingsUpdate(enabled_agents=[AGENT], model="llama-3.3-70b", max_tokens=4000)
    for _ in range(2):  # saving again changes nothing
        saved = expect(ChatSettings, update_chat_settings.sync(client=maria, body=wanted))
        assert saved.enabled_agents == [AGENT]
        assert (saved.model, saved.temperature) == ("llama-3.3-70b", 0.7)

    cleared = update_chat_settings.sync(client=maria, body=ChatSettingsUpdate(model=None))
    assert expect(ChatSettings, cleared).model is None
    assert expect(ChatSettings, cleared).max_tokens == 4000
