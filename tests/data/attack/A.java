class A {
    static int total(int[] items, int start) {
        int t = start;
        for (int item : items) {
            if (item > 3) {
                t += item;
            }
        }
        return t;
    }
    public static void main(String[] args) {
        System.out.println(total(new int[] {1}, 2));
    }
}
