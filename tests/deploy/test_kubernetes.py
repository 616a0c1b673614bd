"""The manifests for Kubernetes: valid by its own schemas, confined, and true to the server."""

import http.client
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from adyton.config import load
from servers import BIN, Server

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
VERSIONS = ("1.30", kubernetes_validate.latest_version().rpartition(".")[0] or "1.37")


def manifest(path):
    return YAML(typ="safe").load(FOLDER / path)


RESOURCES = manifest("kustomization.yaml")["resources"]


def pod():
    return manifest("statefulset.yaml")["spec"]["template"]["spec"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", RESOURCES)
def test_each_is_valid_by_the_schema(name, version):
    """Strictly: a field that Kubernetes does not know is refused."""
    kubernetes_validate.validate(manifest(name), version, strict=True)


def test_the_schema_would_refuse_a_mistake():
    """A misspelt field and a wrong type are found."""
    wrong = manifest("service.yaml")
    wrong["spec"]["portz"] = []
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)
    wrong = manifest("statefulset.yaml")
    wrong["spec"]["replicas"] = "one"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_all_files_are_resources():
    """No file of the folder is forgotten, and all are of one namespace."""
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*RESOURCES, "kustomization.yaml"}
    for name in RESOURCES:
        found = manifest(name)
        if found["kind"] != "Namespace":
            assert found["metadata"]["namespace"] == "adyton", name


def test_the_pod_has_no_rights_that_it_does_not_need():
    """What the level "restricted" of the Pod Security Standards asks for, and a bit more."""
    spec = pod()
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    for container in (*spec["initContainers"], *spec["containers"]):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
    assert all("hostPath" not in volume for volume in spec["volumes"])


def test_names_and_labels_fit_each_other():
    """Selectors, ports, volumes and the service name refer to what there is."""
    stateful = manifest("statefulset.yaml")
    labels = stateful["spec"]["template"]["metadata"]["labels"]
    assert stateful["spec"]["replicas"] == 1
    assert stateful["spec"]["serviceName"] == manifest("service.yaml")["metadata"]["name"]
    assert stateful["spec"]["selector"]["matchLabels"] == labels
    assert manifest("service.yaml")["spec"]["selector"] == labels
    for name, key in (("networkpolicy", "podSelector"), ("poddisruptionbudget", "selector")):
        assert manifest(f"{name}.yaml")["spec"][key]["matchLabels"] == labels
    volumes = {volume["name"] for volume in pod()["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in stateful["spec"]["volumeClaimTemplates"]}
    (container,) = pod()["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert {port["name"] for port in container["ports"]} == {"https"}


def test_the_configuration_is_valid_and_fits_the_mounts(tmp_path):
    """Each file that it names lies under a mount; its key file is no link (subPath)."""
    path = tmp_path / "adyton.toml"
    path.write_text(manifest("configmap.yaml")["data"]["adyton.toml"])
    loaded = load(path, {})
    assert not loaded.problems
    configuration = loaded.configuration
    (container,) = pod()["containers"]
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    key = configuration.store.root.removeprefix("keyfile:")
    assert mounts[key]["subPath"] == Path(key).name
    assert str(configuration.tls.cert.parent) in mounts
    assert str(Path(configuration.store.url).parent) in mounts
    env = {pair["name"]: pair["value"] for pair in container["env"]}
    assert env == {
        "ADYTON_STORE": configuration.store.url, "ADYTON_ROOT": configuration.store.root,
    }  # fmt: skip
    assert pod()["terminationGracePeriodSeconds"] > configuration.server.grace
    port = container["ports"][0]["containerPort"]
    assert configuration.server.listen.endswith(f":{port}")


def test_the_first_start_makes_a_store_once(tmp_path):
    """The init container's own script, twice: the second time it leaves everything as it is."""
    (container,) = pod()["initContainers"]
    env = {pair["name"]: pair["value"] for pair in container["env"]}
    here = {"/var/lib/adyton": str(tmp_path), "keyfile:/run/adyton": f"keyfile:{tmp_path}"}
    for old, new in here.items():
        env = {name: value.replace(old, new) for name, value in env.items()}
    env["PATH"] = f"{BIN}:/usr/bin:/bin"
    (tmp_path / "master.key").write_bytes(bytes(range(32)))
    (tmp_path / "master.key").chmod(0o600)
    command = [*container["command"], *container["args"]]
    states = []
    for _ in range(2):
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        token = Path(env["ADYTON_STORE"] + ".root-token")
        states.append((Path(env["ADYTON_STORE"]).stat().st_ino, token.read_text()))
        assert token.stat().st_mode & 0o777 == 0o600
    assert states[0] == states[1]
    assert states[0][1] not in done.stdout + done.stderr
    server = Server("serve", env=env)
    try:
        answer = server.raw("GET", "/v1/auth/token/lookup-self", token=states[0][1].strip())
        assert answer[0] == 200
    finally:
        assert server.stop()[0] == 0


def test_the_probes_are_answered(server):
    """The very paths of the manifest: success where the server is open."""
    (container,) = pod()["containers"]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        path = container[kind]["httpGet"]["path"]
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        connection.request("GET", path)
        assert 200 <= connection.getresponse().status < 400, kind
        connection.close()
    assert re.search("sealedcode=204", container["livenessProbe"]["httpGet"]["path"])
