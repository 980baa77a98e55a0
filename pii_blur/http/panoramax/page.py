"""The page at /blur/: a form that posts a photo and shows what comes back. It holds nothing and loads nothing."""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pii-blur</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
img { max-width: 100% }
label { display: block; margin: 1rem 0 }
</style>
<h1>pii-blur</h1>
<p>Choose a JPEG. It is blurred here and shown below; nothing of it is kept.</p>
<form>
<label>Photo <input type="file" name="picture" accept="image/jpeg" required></label>
<label>Token, if one is needed <input type="password" name="token" autocomplete="off"></label>
<button>Blur</button>
</form>
<p role="status"></p>
<img alt="" hidden>
<script>
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
const image = document.querySelector("img");
form.addEventListener("submit", async event => {
  event.preventDefault();
  const body = new FormData();
  body.append("picture", form.picture.files[0]);
  said.textContent = "Working ...";
  image.hidden = true;
  const headers = form.token.value ? { Authorization: "Bearer " + form.token.value } : {};
  try {
    const answer = await fetch("", { method: "POST", body, headers });
    if (!answer.ok) {
      said.textContent = answer.status + ": " + (await answer.json()).detail;
      return;
    }
    const about = JSON.parse(answer.headers.get("x-sgblur"));
    said.textContent = (about.info.length + (about.more || 0)) + " things hidden";
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(await answer.blob());
    image.hidden = false;
  } catch (error) {
    said.textContent = "No answer: " + error.message;
  }
});
</script>
</html>
"""
