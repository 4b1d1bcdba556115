(() => {
  const users = [...document.querySelectorAll("#users > details")];
  const find = document.getElementById("find");
  if (!find) return;
  const texts = users.map((user) => user.textContent.toLowerCase());
  find.closest("form").hidden = false;
  find.closest("form").addEventListener("submit", (event) => event.preventDefault());
  find.addEventListener("input", () => {
    const asked = find.value.trim().toLowerCase();
    users.forEach((user, at) => { user.hidden = !texts[at].includes(asked); });
    const left = users.filter((user) => !user.hidden).length;
    document.getElementById("found").textContent = asked ? `${left} of ${users.length}` : "";
  });
  const mark = (on) => (event) => {
    const link = event.target.closest?.("a.cite");
    if (link) document.getElementById(link.hash.slice(1))?.classList.toggle("meant", on);
  };
  for (const name of ["pointerover", "focusin"]) document.addEventListener(name, mark(true));
  for (const name of ["pointerout", "focusout"]) document.addEventListener(name, mark(false));
})();
