#include <vector>
#include <string>
struct Box {
    std::vector<int> rows;
    int size(int n) const {
        if (n > 3) return n;
        return int(rows.size());
    }
};
std::string name(const std::string &s) {
    return s + "{";
}
int main() { return Box().size(2); }
