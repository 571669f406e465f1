"""The whole way, once."""

from tests.conftest import Service


def test_a_password_becomes_a_socket_once(service: Service, owner) -> None:
    pair = service.login(owner)
    ticket = service.ticket(pair["access"])
    with service.connect(f"ticket_uuid={ticket}", "/ws/events/") as socket:
        assert socket.accepted, socket.body
        ready = socket.json()
        assert ready["type"] == "ticketauth.ready"
        assert ready["user"] == {"id": str(owner.pk), "username": "owner"}
        socket.send('{"type": "ping", "id": 7}')
        assert socket.json() == {"type": "pong", "id": 7}
    again = service.connect(f"ticket_uuid={ticket}", "/ws/events/")
    assert again.status == 401
