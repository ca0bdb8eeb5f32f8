
/* The scan and the placement, see docs/how-it-works.md: the field is magnified to a scan in black and white, the box of its ink
 * reduced to a canvas by area, and the canvas placed by its centre of mass. */
enum { FIELD = {{field}}, CANVAS = {{canvas}}, LARGEST = {{largest}}, WHITE = 255 };

static int8_t magnified[LARGEST][FIELD + 1];
static uint8_t scan[LARGEST][LARGEST], canvas[CANVAS][CANVAS];
static uint8_t reduced[CANVAS][LARGEST];

static int limited(int value, int least, int most)
{
    return value < least ? least : value > most ? most : value;
}

/* How much point `point` of a field counts for pixel `pixel` of a scan; point FIELD is what lies around the field. */
static int magnifying(int size, int pixel, int point)
{
    int middle = WHITE * FIELD * (2 * pixel + 1) / (2 * size) - WHITE / 2;
    int distance = middle - (point < FIELD ? WHITE * point : limited(middle, 0, WHITE * (FIELD - 1)));
    distance = distance < 0 ? -distance : distance;
    return point < FIELD ? limited(WHITE - distance, 0, WHITE) : distance;
}

/* How much pixel `pixel` of a box counts for pixel `place` of a canvas. */
static int reducing(int size, int pixel, int place)
{
    int begin = limited(WHITE * CANVAS * pixel / size - WHITE * place, -1, WHITE);
    int end = limited(WHITE * CANVAS * (pixel + 1) / size - WHITE * place, 0, WHITE);
    return limited(end - (begin < 0 ? -begin : begin), 0, WHITE);
}

/* The nearest whole number to sum / 255, which never lies half-way between two. */
static int divided(int32_t sum)
{
    return (int)(sum < 0 ? -((-sum + WHITE / 2) / WHITE) : (sum + WHITE / 2) / WHITE);
}

static void draw_scan(const uint8_t *field, int size)
{
    int pixel, point, other;
    for (pixel = 0; pixel < size; pixel++) {
        for (other = 0; other <= FIELD; other++) {
            int32_t sum = 0;
            for (point = 0; point <= FIELD; point++) {
                int level = point < FIELD && other < FIELD ? field[point * FIELD + other] : 0;
                sum += magnifying(size, pixel, point) * (level - {{threshold}});
            }
            magnified[pixel][other] = (int8_t)limited(divided(sum), -128, 127);
        }
    }
    for (pixel = 0; pixel < size; pixel++) {
        for (other = 0; other < size; other++) {
            int32_t sum = 0;
            for (point = 0; point <= FIELD; point++) {
                sum += magnified[pixel][point] * magnifying(size, other, point);
            }
            scan[pixel][other] = sum > 0;
        }
    }
}

static void reduce_scan(int size)
{
    int first[2] = {LARGEST, LARGEST}, last[2] = {-1, -1}, begin[2], axis, side, y, x, place;
    for (y = 0; y < size; y++) {
        for (x = 0; x < size; x++) {
            int at[2];
            at[0] = y;
            at[1] = x;
            for (axis = 0; axis < 2 && scan[y][x]; axis++) {
                first[axis] = at[axis] < first[axis] ? at[axis] : first[axis];
                last[axis] = at[axis] > last[axis] ? at[axis] : last[axis];
            }
        }
    }
    side = last[0] - first[0] > last[1] - first[1] ? last[0] - first[0] + 1 : last[1] - first[1] + 1;
    side = last[0] < 0 || side < CANVAS ? CANVAS : side;
    for (axis = 0; axis < 2; axis++) {
        int length = last[axis] < 0 ? 0 : last[axis] - first[axis] + 1;
        begin[axis] = first[axis] - (side - length) / 2;
    }
    for (place = 0; place < CANVAS; place++) {
        for (x = 0; x < size; x++) {
            int sum = 0;
            for (y = 0; y < side; y++) {
                int row = begin[0] + y;
                sum += row >= 0 && row < size && scan[row][x] ? reducing(side, y, place) : 0;
            }
            reduced[place][x] = (uint8_t)limited(sum, 0, WHITE);
        }
    }
    for (y = 0; y < CANVAS; y++) {
        for (place = 0; place < CANVAS; place++) {
            int32_t sum = 0;
            for (x = 0; x < side; x++) {
                int column = begin[1] + x;
                sum += column >= 0 && column < size ? reduced[y][column] * reducing(side, x, place) : 0;
            }
            canvas[y][place] = (uint8_t)limited(divided(sum), 0, WHITE);
        }
    }
}

static void place_canvas(uint8_t *image)
{
    int32_t mass = 0, moments[2] = {0, 0};
    int moves[2] = {0, 0}, y, x, axis, step;
    for (y = 0; y < CANVAS; y++) {
        for (x = 0; x < CANVAS; x++) {
            mass += canvas[y][x];
            moments[0] += canvas[y][x] * y;
            moments[1] += canvas[y][x] * x;
        }
    }
    for (axis = 0; axis < 2; axis++) {
        for (step = 0; step < POCKETGAN_HEIGHT - CANVAS; step++) {
            moves[axis] += mass * (POCKETGAN_HEIGHT - 1 - 2 * step) - 2 * moments[axis] > 0;
        }
    }
    for (y = 0; y < POCKETGAN_HEIGHT * POCKETGAN_WIDTH; y++) {
        image[y] = 0;
    }
    for (y = 0; y < CANVAS; y++) {
        for (x = 0; x < CANVAS; x++) {
            image[(y + moves[0]) * POCKETGAN_WIDTH + x + moves[1]] = canvas[y][x];
        }
    }
}
