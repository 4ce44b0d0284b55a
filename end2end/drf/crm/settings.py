"""Settings of a server for tests: on loopback only, all it keeps in the folder of its database.

Environment:
    CRM_DATABASE        the SQLite file; the signing key and the photos are kept beside it
    CRM_TOKEN_SECONDS   how long an access token lives (300)

The `seed` command reads a few more, see there.
"""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

if not os.environ.get("CRM_DATABASE"):
    raise ImproperlyConfigured("CRM_DATABASE must name the SQLite file.")

DATABASE = Path(os.environ["CRM_DATABASE"]).resolve()
SIGNING_KEY = DATABASE.parent / "signing-key.pem"

# Only tests sign in here: a real secret key and a slow password hasher would protect nobody.
SECRET_KEY = "only-for-tests"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

DEBUG = False
# One name only, because the OIDC issuer is derived from the host that was asked for.
ALLOWED_HOSTS = ["127.0.0.1"]

INSTALLED_APPS = [
    # First, because its page layout replaces that of django-oauth-toolkit.
    "crm",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_filters",
    "oauth2_provider",
    "rest_framework",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "crm.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE,
        # Every server thread keeps its connection instead of opening one per request.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 20,
            # Locks before reading, so that what was read still holds when it writes.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        },
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
TIME_ZONE = "UTC"

MEDIA_URL = "media/"
MEDIA_ROOT = DATABASE.parent / "media"

# Browsers share cookies between all ports of a host; these names are nobody else's.
SESSION_COOKIE_NAME = "crm_session"
CSRF_COOKIE_NAME = "crm_csrf"

LOGIN_REDIRECT_URL = "home"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "oauth2_provider.contrib.rest_framework.TokenHasReadWriteScope",
        "crm.permissions.ViewersOnlyRead",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "crm.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.SearchFilter",
        "crm.filters.StableOrdering",
    ],
}

OAUTH2_PROVIDER = {
    "SCOPES": {
        "openid": "Know who you are",
        "profile": "Know your name and your roles",
        "email": "Know your email address",
        "crm:read": "Read contacts and deals",
        "crm:write": "Change contacts and deals",
    },
    "READ_SCOPE": "crm:read",
    "WRITE_SCOPE": "crm:write",
    "ACCESS_TOKEN_EXPIRE_SECONDS": int(os.environ.get("CRM_TOKEN_SECONDS", "300")),
    "ROTATE_REFRESH_TOKEN": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "PKCE_REQUIRED": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "ALLOW_LOCALHOST_LOOPBACK": True,
    "OAUTH2_VALIDATOR_CLASS": "crm.identity.Claims",
    "OIDC_ENABLED": True,
    "OIDC_RSA_PRIVATE_KEY": SIGNING_KEY.read_text() if SIGNING_KEY.exists() else "",
    "OIDC_RESPONSE_TYPES_SUPPORTED": ["code"],
    "OIDC_RP_INITIATED_LOGOUT_ENABLED": True,
    "OIDC_RP_INITIATED_LOGOUT_ALWAYS_PROMPT": False,
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler", "level": "ERROR"}},
    "root": {"handlers": ["stderr"], "level": "ERROR"},
    "loggers": {"django": {"handlers": [], "level": "ERROR"}},
}
