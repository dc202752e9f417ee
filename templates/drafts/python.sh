# Every seed another shape and size. ADAPT: what these functions take.
PYTHONPATH=FOLDER python3 - "$seed" <<'EOF'
import copy, random, sys
import MODULE as m
seed = int(sys.argv[1])
rng = random.Random(seed)
size = (0, 1, 7, 80, 3000)[seed % 5]
numbers = [rng.randrange(-1000, 1000) for _ in range(size)]
text = "".join(rng.choice("abcxyz 0189{}[]<>,;:/\\\"'\n\t\u00e9") for _ in range(size))
for name in NAMES:
    for given in ((text,), (numbers,), (size,), (text, size), (numbers, size), (text.encode(),), ()):
        try:
            said = repr(getattr(m, name)(*copy.deepcopy(given)))
        except Exception as error:
            said = type(error).__name__
        if " at 0x" not in said:
            print(name, said)
EOF
