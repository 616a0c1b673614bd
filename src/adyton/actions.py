"""What an audit record can say was done."""

import enum


class Action(enum.StrEnum):
    """What an audit record says was done. The strings are stored (``docs/spec/audit.md``)."""

    STORE_INIT = "store.init"
    STORE_HEALTH = "store.health"
    STORE_SEAL = "store.seal"
    STORE_UNSEAL = "store.unseal"
    ROOT_REKEY = "root.rekey"
    ROOT_SHOW = "root.show"
    ROOT_ADD = "root.add"
    ROOT_TEST = "root.test"
    ROOT_REMOVE = "root.remove"
    SECRET_GET = "secret.get"  # noqa: S105 - an action's name
    SECRET_SET = "secret.set"  # noqa: S105 - idem
    SECRET_DELETE = "secret.delete"  # noqa: S105 - idem
    SECRET_UNDELETE = "secret.undelete"  # noqa: S105 - idem
    SECRET_DESTROY = "secret.destroy"  # noqa: S105 - idem
    SECRET_ROLLBACK = "secret.rollback"  # noqa: S105 - idem
    SECRET_LIST = "secret.list"  # noqa: S105 - idem
    SECRET_METADATA = "secret.metadata"  # noqa: S105 - idem
    SECRET_TAGS = "secret.tags"  # noqa: S105 - idem
    SECRET_UPDATE = "secret.update"  # noqa: S105 - idem
    SECRET_REENCRYPT = "secret.reencrypt"  # noqa: S105 - idem
    SECRET_EXPORT = "secret.export"  # noqa: S105 - idem
    SECRET_IMPORT = "secret.import"  # noqa: S105 - idem
    SECRET_ROTATE = "secret.rotate"  # noqa: S105 - idem
    ROTATION_READ = "rotation.read"
    ROTATION_WRITE = "rotation.write"
    ROTATION_DELETE = "rotation.delete"
    ROTATION_RUN = "rotation.run"
    ROTATION_STEP = "rotation.step"
    AUDIT_READ = "audit.read"
    AUDIT_PROVE = "audit.prove"
    AUDIT_VERIFY = "audit.verify"
    AUDIT_ARCHIVE = "audit.archive"
    KEYS_LIST = "keys.list"
    KEYS_ROTATE = "keys.rotate"
    KEYS_REWRAP = "keys.rewrap"
    KEYS_RETIRE = "keys.retire"
    MASTER_ROTATE = "master.rotate"
    TOKEN_CREATE = "token.create"  # noqa: S105 - idem
    TOKEN_LOOKUP = "token.lookup"  # noqa: S105 - idem
    TOKEN_RENEW = "token.renew"  # noqa: S105 - idem
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - idem
    TOKEN_USE = "token.use"  # noqa: S105 - idem
    ACCESS_LOGIN = "access.login"
    ACCESS_DENY = "access.deny"
    ACCESS_READ = "access.read"
    ACCESS_LIST = "access.list"
    ACCESS_WRITE = "access.write"
    ACCESS_DELETE = "access.delete"
    ACCESS_WRAP = "access.wrap"
    ACCESS_UNWRAP = "access.unwrap"
    SHARE_CREATE = "share.create"
    SHARE_ACCEPT = "share.accept"
    SHARE_REFUSE = "share.refuse"
    SHARE_REVOKE = "share.revoke"
    SHARE_UPDATE = "share.update"
    SHARE_READ = "share.read"
    SHARE_WRITE = "share.write"
    SHARE_DELETE = "share.delete"
    SHARE_LIST = "share.list"
    LINK_CREATE = "link.create"
    LINK_OPEN = "link.open"
    LINK_REVOKE = "link.revoke"
    LINK_LIST = "link.list"
    USER_LIST = "user.list"
    USER_PURGE = "user.purge"
    NOTICE_PUT = "notice.put"
    NOTICE_LIST = "notice.list"
    NOTICE_ACK = "notice.ack"
    REPORT_READ = "report.read"
    REPORT_COUNT = "report.count"
    WEBHOOK_READ = "webhook.read"
    WEBHOOK_WRITE = "webhook.write"
    WEBHOOK_DELETE = "webhook.delete"
    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_DELIVER = "webhook.deliver"
