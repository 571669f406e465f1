"use strict";

const page = document.getElementById("swagger-ui");

// Swagger UI knows its dark colours by a class of the document.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  url: page.dataset.url,
  domNode: page,
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  // Its badge would ask another host.
  validatorUrl: null,
  supportedSubmitMethods: "tryItOut" in page.dataset ? undefined : [],
  requestInterceptor: (request) => {
    // For a session: the browser sends the cookie by itself.
    if (request.method === "POST" && !request.headers["X-CSRFToken"]) {
      request.headers["X-CSRFToken"] = page.dataset.csrfToken;
    }
    return request;
  },
});
