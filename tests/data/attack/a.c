#include <stddef.h>
#define N 4 /* { */
static int total(const int *v, size_t n) {
    int t = 0;
    for (size_t i = 0; i < n; i++) {
        if (v[i] > N) {
            t += v[i];
        }
    }
    return t;
}
int main(void) {
    int v[3] = {1, 9, 9};
    const char *s = "}{"; char c = '{';
    return total(v, 3) + s[0] - c;
}
