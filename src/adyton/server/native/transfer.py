"""Routes of export and import."""

from typing import Final

from adyton.actions import Action
from adyton.library import arguments
from adyton.server.native import shapes
from adyton.server.native.call import Call
from adyton.server.native.rights import SECRETS, right, to_import_names, to_read_names
from adyton.server.native.routes import Reply, Route
from adyton.service.access.policy import Capability
from adyton.service.portability import Portability
from adyton.values import ImportReport, no_watch


async def export(call: Call) -> Reply:
    """A document of secrets."""
    body = call.body(shapes.ExportBody)
    call.judge_each()
    await to_read_names(call, body.names or ())
    compose = await call.checked(
        lambda: arguments.composer(
            body.format, body.recipients, None, body.prefix, all_versions=body.all_versions
        )
    )

    def readable(name: str) -> bool:
        return call.needs(SECRETS + name, Capability.READ)

    document = await call.beside(
        lambda: Portability(call.core).export(
            call.caller,
            call.user,
            compose,
            prefix=body.prefix,
            names=body.names,
            all_versions=body.all_versions,
            format_name=body.format,
            readable=None if call.unbound else readable,
            most_bytes=shapes.MAX_ANSWER_BYTES,
        )
    )
    return Reply(shapes.ExportShown(format=body.format, data=document))


async def import_(call: Call) -> Reply:
    """What an import did."""
    body = call.body(shapes.ImportBody)
    call.judge_each()
    parse = await call.checked(
        lambda: arguments.parser(
            call.core.limits, body.data, body.format, body.identities, None, body.prefix,
            flatten=body.flatten,
        )
    )  # fmt: skip
    found = await call.beside(lambda: call.checked(parse))
    if not call.unbound:
        names = [secret.name for secret in found]
        await to_import_names(call, names, replacing=body.on_conflict in {"replace", "new-version"})

    def show(report: ImportReport) -> Reply:
        return Reply(
            shapes.ImportShown(
                created=list(report.created),
                replaced=list(report.replaced),
                new_versions=list(report.new_versions),
                skipped=list(report.skipped),
                dry_run=report.dry_run,
            )
        )

    if body.dry_run:
        call.once = None
    return await call.beside(
        lambda: call.write(
            lambda core: Portability(core).import_(
                call.caller, call.user, found, on_conflict=body.on_conflict,
                dry_run=body.dry_run, watch=no_watch,
            ),
            show,
        )
    )  # fmt: skip


ROUTES: Final = [
    Route(
        "POST", "users/{user}/export", "export_secrets", "Export secrets as a document.",
        export, right(Capability.UPDATE), "update; what may be read, one by one, is in it", "user",
        Action.SECRET_EXPORT, shapes.ExportShown, body=shapes.ExportBody, errors=(404,),
    ),
    Route(
        "POST", "users/{user}/import", "import_secrets", "Import a document: whole, or not.",
        import_, right(Capability.UPDATE), "update; create, and update, on secrets/ and each name",
        "user", Action.SECRET_IMPORT, shapes.ImportShown, body=shapes.ImportBody, once=True,
        errors=(409,),
    ),
]  # fmt: skip
