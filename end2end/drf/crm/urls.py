"""Where everything is: the API, the OpenID provider, the login form and the photos."""

from django.conf import settings
from django.contrib.auth.views import LoginView
from django.urls import include, path
from django.views.generic import TemplateView
from django.views.static import serve
from oauth2_provider import urls as oauth2
from rest_framework.routers import DefaultRouter

from crm.views import ContactViewSet, DealViewSet

router = DefaultRouter()
router.register("contacts", ContactViewSet)
router.register("deals", DealViewSet)

# All of it but the pages on which anybody who can sign in may register applications.
provider = oauth2.metadata_urlpatterns + oauth2.base_urlpatterns + oauth2.oidc_urlpatterns

urlpatterns = [
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("api/", include(router.urls)),
    path("o/", include((provider, oauth2.app_name))),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("media/<path:path>", serve, {"document_root": settings.MEDIA_ROOT}),
]
