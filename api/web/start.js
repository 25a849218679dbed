// Apart from the rest, so that it runs when a library is missing and can say so.
import("/web/app.js").then(
  (app) => app.start(document.getElementById("app")),
  () => {
    document.getElementById("missing").hidden = false;
  },
);
