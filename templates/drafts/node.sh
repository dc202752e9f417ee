# Every seed another shape and size. ADAPT: what this function takes.
node --input-type=module - "$seed" <<'EOF'
let seed = Number(process.argv[2]);
const size = [0, 1, 7, 80, 3000][seed % 5];
const next = (n) => (seed = (seed * 48271) % 2147483647) % n;
const found = await import(process.cwd() + "/PATH").then((it) => ({ ...it.default, ...it, "": it.default }));
const numbers = Array.from({ length: size }, () => next(2000) - 1000);
const text = numbers.map((n) => "abcxyz 0189{}[]<>,;:/\u00e9\n"[Math.abs(n) % 22]).join("");
for (const given of [[text], [numbers], [size], [text, size], []]) {
  try { console.log(JSON.stringify((found["NAME"] ?? found[""])(...structuredClone(given)))); }
  catch (error) { console.log(error?.name); }
}
EOF
