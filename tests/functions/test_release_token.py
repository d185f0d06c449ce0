"""The bearer token by which a release shows the cluster who it is."""

from __future__ import annotations

import base64
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest

from release.api import eks_token
from release.record import ReleaseError


def session(key: str = "AKIAEXAMPLE") -> botocore.session.Session:
    made = botocore.session.Session()
    made.set_credentials(key, "secret")
    return made


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "sts.us-east-1.amazonaws.com"),
        ("us-gov-west-1", "sts.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "sts.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_token_is_a_question_to_sts_of_its_region_that_is_signed_for_one_cluster(region: str, host: str) -> None:
    head, _, text = eks_token(session(), region, "slipway-prod").partition(".")
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (head, url.scheme, url.netloc) == ("k8s-aws-v1", "https", host)
    assert query["Action"] == "GetCallerIdentity"
    assert query["X-Amz-SignedHeaders"] == "host;x-k8s-aws-id"
    assert query["X-Amz-Expires"] == "60"
    assert f"/{region}/sts/" in query["X-Amz-Credential"]
    assert text != eks_token(session(), region, "another").partition(".")[2]


def test_without_credentials_there_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = botocore.session.Session()
    monkeypatch.setattr(nobody, "get_credentials", lambda: None)
    with pytest.raises(ReleaseError, match="no AWS credentials"):
        eks_token(nobody, "us-east-1", "slipway-prod")
