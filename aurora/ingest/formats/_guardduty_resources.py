"""Whom or what a finding is about: the resources of AWS.

Who wrote what is told in `aurora.ingest.formats.guardduty`.
"""

from __future__ import annotations

from aurora.ingest.formats import _microsoft as microsoft
from aurora.ingest.formats._guardduty_table import DIRECTORY, A, Columns, S, Table
from aurora.kernel.models import EntityType

_INSTANCE: Columns = (
    ("InstanceId", "host.id", S),
    ("InstanceType", "host.type", S),
    ("Platform", "host.os.family", S),
    ("ImageId", "host.image.id", S),
    ("AvailabilityZone", "cloud.availability_zone", S),
)
_INTERFACE: Columns = (
    ("PrivateIpAddress", "host.ip", S),
    ("PublicIp", "host.ip", S),
    ("PrivateDnsName", "host.hostname", S),
    ("VpcId", "network.vpc.id", S),
)
_CONTAINER: Columns = (
    ("Id", "container.id", S),
    ("Name", "container.name", A),
    ("Image", "container.image.name", A),
    ("ContainerRuntime", "container.runtime", S),
)
_WORKLOAD: Columns = (
    ("Name", "orchestrator.resource.name", A),
    ("Type", "orchestrator.resource.type", S),
    ("Namespace", "orchestrator.namespace", A),
    ("ServiceAccountName", "orchestrator.service_account", A),
    ("HostNetwork", "orchestrator.host_network", S),
)
_DATABASE_USER: Columns = (
    ("Application", "user_agent.original", A),
    ("Database", "database.name", A),
    ("AuthMethod", "authentication.method", S),
)
_BY_ARN = {
    "EksClusterDetails": ("Arn", "Name"),
    "EcsClusterDetails": ("Arn", "Name"),
    "RdsDbInstanceDetails": ("DbInstanceArn", "DbInstanceIdentifier"),
    "RdsLimitlessDbDetails": ("DbShardGroupArn", "DbShardGroupIdentifier"),
    "LambdaDetails": ("FunctionArn", "FunctionName"),
}
_DETAILS = (
    "InstanceDetails",
    "AccessKeyDetails",
    "S3BucketDetails",
    *_BY_ARN,
    "KubernetesDetails",
    "ContainerDetails",
    "RdsDbUserDetails",
)
"""In this order a finding with several is told."""
_ROLES = {"TARGET": "target", "ACTOR": "actor"}


def tell_resources(resource: Table, *, account: str, role: str) -> None:
    """Note what the finding is about; `role` is what it was: `TARGET` or `ACTOR`."""
    role = _ROLES.get(role.upper(), "")
    resource.take("ResourceType", "cloud.resource.type", S)
    for key in resource.given(_DETAILS):
        if key == "S3BucketDetails":
            for bucket in resource.tables(key):
                _bucket(bucket, role)
        elif details := resource.table(key):
            _tell(key, details, account=account, role=role)


def tell_sequence_resource(resource: Table) -> None:
    """Note one resource of an attack sequence: named by its ARN, a machine by its id."""
    uid = resource.take("Uid", "cloud.resource.id", S).strip().lower()
    resource.take("ResourceType", "cloud.resource.type", S)
    _, is_instance, instance = uid.rpartition(":instance/")
    if is_instance:
        resource.draft.entity(EntityType.HOST, instance, S, role="target")
    elif "ACCESS_KEY" not in resource.text("ResourceType").upper():
        resource.draft.entity(EntityType.APPLICATION, uid, S, role="target")


def account_user(name: str, account: str) -> str:
    """Return the canonical name of an identity; every account has a root of its own."""
    name = name.strip().lower()
    return f"root@{account}" if name == "root" and account else name


def _tell(key: str, details: Table, *, account: str, role: str) -> None:
    if key == "InstanceDetails":
        _instance(details, role)
    elif key == "AccessKeyDetails":
        _access_key(details, account)
    elif key in _BY_ARN:
        _application(details, *_BY_ARN[key], role)
        details.take("Role", "cloud.resource.role", S)
        for container in details.table("TaskDetails").tables("Containers"):
            container.take_all(_CONTAINER)
    elif key == "KubernetesDetails":
        _kubernetes(details)
    elif key == "ContainerDetails":
        details.take_all(_CONTAINER)
    else:
        _database_user(details, role)


def _bucket(bucket: Table, role: str) -> None:
    _application(bucket, "Arn", "Name", role)
    for item in bucket.tables("S3ObjectDetails"):
        item.take("Key", "file.name", A)
        digest = item.text("Hash")
        microsoft.tell_hash(item.draft, "sha256", digest, pointer=item.path("Hash"))


def _database_user(user: Table, role: str) -> None:
    user.take_all(_DATABASE_USER)
    name = user.take("User", "user.name", A)
    user.draft.entity(EntityType.USER, name.lower(), A, role=role)


def _instance(instance: Table, role: str) -> None:
    instance.take_all(_INSTANCE)
    instance.draft.entity(EntityType.HOST, instance.text("InstanceId").lower(), S, role=role)
    instance.table("IamInstanceProfile").take("Arn", "cloud.instance.profile", S)
    for interface in instance.tables("NetworkInterfaces"):
        interface.take_all(_INTERFACE)
    for tag in instance.tables("Tags"):
        if tag.text("Key").lower() == "name":
            tag.take("Value", "host.name", A)


def _access_key(key: Table, account: str) -> None:
    key.take("AccessKeyId", "aws.access_key_id", S)
    kind = key.take("UserType", "user.type", DIRECTORY)
    # Of a role, the id ends with a session name, which whoever assumes the role makes up.
    key.take("PrincipalId", "user.id", A if ":" in key.text("PrincipalId") else DIRECTORY)
    name = key.take("UserName", "user.name", DIRECTORY)
    user = "root" if kind == "Root" else name
    key.draft.entity(EntityType.USER, account_user(user, account), DIRECTORY)


def _application(found: Table, arn: str, name: str, role: str) -> None:
    value = found.take(arn, "cloud.resource.id", S) or found.text(name)
    found.take(name, "cloud.resource.name", S)
    found.draft.entity(EntityType.APPLICATION, value.strip().lower(), S, role=role)


def _kubernetes(details: Table) -> None:
    if user := details.table("KubernetesUserDetails"):
        name = user.take("Username", "user.name", DIRECTORY)
        user.draft.entity(EntityType.USER, name.strip().lower(), DIRECTORY)
        for group in user.items("Groups"):
            user.draft.keep("user.group.name", group, DIRECTORY, user.path("Groups"))
        for session in user.items("SessionName"):
            user.draft.keep("user.session.name", session, A, user.path("SessionName"))
        user.table("ImpersonatedUser").take("Username", "user.effective.name", A)
    if workload := details.table("KubernetesWorkloadDetails"):
        workload.take_all(_WORKLOAD)
        for container in workload.tables("Containers"):
            container.take_all(_CONTAINER)
