"""A certificate for localhost, with its key: the only one that is trusted in tests."""

from __future__ import annotations

#: For localhost and nothing else.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgoruS72IjymnnczW+
qLWbHjRumo4WThWyjEckQw8vuEChRANCAASdI+o0Y4879Euz9Nt8SHonOy7yLCqd
ZfgMppohQ0gv/wkOczO5P6FqUrMQk/HBinqMwe2HaVQ+D0mebAnXqLWe
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUU5bnpY28T8vPygAVNfwllumQFpgwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA0MjMzMFoYDzIxMjYxMDMx
MDQyMzMwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAASdI+o0Y4879Euz9Nt8SHonOy7yLCqdZfgMppohQ0gv/wkOczO5P6Fq
UrMQk/HBinqMwe2HaVQ+D0mebAnXqLWeo28wbTAdBgNVHQ4EFgQUewebJMlWRZvm
LxhyLlh8wOGsaKIwHwYDVR0jBBgwFoAUewebJMlWRZvmLxhyLlh8wOGsaKIwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOddo8Vu+UqyGbp0W6qvbIy00DG1AN2nY4GdZobKhYCYAiEA
4Pp513dd8Dy2tKxfQrgzLZpsO2najfPFUn5XbcV/q08=
-----END CERTIFICATE-----
"""
