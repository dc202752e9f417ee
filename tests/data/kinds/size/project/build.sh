set -eu
mkdir -p dist
cat src/*.js > dist/bundle.js
