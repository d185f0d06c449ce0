"""AWS clients that can only ever talk to the endpoint on loopback.

Configuration files, profiles, environment variables, proxies and the instance metadata service are out of reach by
construction: the session's configuration store holds constants, its data loader knows botocore's own folder only, and
credentials are given.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, cast

from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES, ConfigValueStore, ConstantProvider
from botocore.loaders import Loader
from botocore.session import Session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker import SageMakerClient

ACCESS_KEY: Final = "loopback"
"""Not a credential: the endpoint on loopback checks no signature, but the protocol needs one."""

_NOWHERE: Final = frozenset({"profile", "config_file", "credentials_file", "ca_bundle", "data_path", "region"})

_CONFIG: Final = Config(
    connect_timeout=5,
    read_timeout=60,
    retries={"total_max_attempts": 3, "mode": "standard"},
    proxies={},
    s3={"addressing_style": "path"},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


def loopback_session() -> Session:
    """A session that reads nothing of the machine it runs on."""
    session = Session()
    defaults = {name: None if name in _NOWHERE else var[2] for name, var in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()}
    store = ConfigValueStore({name: ConstantProvider(value) for name, value in defaults.items()})
    session.register_component("config_store", store)
    session.register_component("data_loader", Loader([Loader.BUILTIN_DATA_PATH], include_default_search_paths=False))
    return session


class Clients:
    """Typed clients for one endpoint, each made when it is first asked for."""

    def __init__(self, endpoint: str, region: str) -> None:
        self._endpoint = endpoint
        self._region = region
        self._session = loopback_session()

    @cached_property
    def s3(self) -> S3Client:
        """Object storage."""
        return cast("S3Client", self._client("s3"))

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        """Training jobs and the model registry."""
        return cast("SageMakerClient", self._client("sagemaker"))

    @cached_property
    def dynamodb(self) -> DynamoDBClient:
        """Tables."""
        return cast("DynamoDBClient", self._client("dynamodb"))

    @cached_property
    def ecr(self) -> ECRClient:
        """Image repositories."""
        return cast("ECRClient", self._client("ecr"))

    def _client(self, service: str) -> object:
        return self._session.create_client(
            service,
            region_name=self._region,
            endpoint_url=self._endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=ACCESS_KEY,
            config=_CONFIG,
        )
