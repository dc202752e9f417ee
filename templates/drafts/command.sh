# Every seed another shape and size. ADAPT: what an input of this program looks like, and how it is given.
input="${TMPDIR:-/tmp}/autoresearch-input"
python3 - "$seed" >"$input" <<'EOF'
import random, sys
seed = int(sys.argv[1])
rng = random.Random(seed)
size = (0, 1, 7, 80, 3000)[seed % 5]
if seed % 2:
    print("".join(rng.choice("abcxyz 0189{}[]<>,;:/\\\"'\n\t\u00e9") for _ in range(size)))
else:
    print("\n".join(str(rng.randrange(-1000, 1000)) for _ in range(size)))
EOF
COMMAND <"$input" 2>&1 || echo "exit $?"
COMMAND "$input" 2>&1 || echo "exit $?"
