"""Request and response bodies as published in OpenAPI. Requests are validated; unknown fields are rejected."""
