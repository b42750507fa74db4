"""Files for a Mosquitto that serves as the hub's broker, made from the role table and the registry.

An `acl_file` can't tell roles apart by pattern, so each identity gets its own lines: nothing is granted by a pattern.
"""

from collections.abc import Mapping

from wire.roles import role_of
from wire.topics import TOPICS

MAX_PACKET_BYTES = 131_072


def passwords(credentials: Mapping[str, str]) -> str:
    """The `password_file`: identities and hashes in Mosquitto's own form."""
    return "".join(f"{identity}:{stored}\n" for identity, stored in sorted(credentials.items()))


def rights(identities: Mapping[str, str]) -> str:
    """The `acl_file`: what each identity may write and read, and nothing else."""
    lines = []
    for identity in sorted(identities):
        role = role_of(identity)
        if role is None:
            continue
        lines.append(f"user {identity}")
        lines += [f"topic write {pattern.replace('%i', identity)}" for pattern in role.write]
        lines += [f"topic read {pattern.replace('%i', identity)}" for pattern in role.read]
        lines.append("")
    return "\n".join(lines)


def config(folder: str, listener: str) -> str:
    """The part of `mosquitto.conf` that the hub counts on."""
    largest = max(topic.max_bytes for topic in TOPICS)
    lines = [
        f"listener {listener}",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"password_file {folder}/password_file",
        f"acl_file {folder}/acl_file",
        f"max_packet_size {max(MAX_PACKET_BYTES, largest + 4096)}",
        "max_inflight_messages 200",
        "max_queued_messages 0",
        "max_queued_bytes 67108864",
        "max_keepalive 120",
        "persistence false",
        "set_tcp_nodelay true",
    ]
    return "\n".join(lines) + "\n"
