package main

import "fmt"

func total(items []int, start int) (int, error) {
	t := start
	for _, item := range items {
		if item > 3 {
			t += item
		}
	}
	return t, nil
}

func main() {
	fmt.Println(total([]int{1}, 2))
}
