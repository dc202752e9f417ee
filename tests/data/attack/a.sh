#!/bin/sh
total() {
  count=$((count + 1))
  echo "$1" # {
}
total 3
