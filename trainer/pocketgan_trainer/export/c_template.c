/* {{about}}
 *
 * Made by pocketgan ({{version}}). Draws {{height}}x{{width}} images with whole numbers alone: the same pixels as the ONNX file of
 * the same generator. C99, without any library function.
 * Constants: {{constant_bytes}} bytes. Static memory: {{static_bytes}} bytes, so only one thread may draw at a time.
 *
 *     uint8_t image[POCKETGAN_HEIGHT * POCKETGAN_WIDTH];
 *     pocketgan_draw(latents, {{label_example}}, image);
 *
 * `latents` are {{latents}} whole numbers from -127 to 127, in units of 1/32, normally distributed, with a standard deviation of 32.
 */

#include <stdint.h>

#define POCKETGAN_LATENTS {{latents}}
#define POCKETGAN_CLASSES {{classes}}
#define POCKETGAN_HEIGHT {{height}}
#define POCKETGAN_WIDTH {{width}}

void pocketgan_draw(const int8_t latents[POCKETGAN_LATENTS], int label, uint8_t image[POCKETGAN_HEIGHT * POCKETGAN_WIDTH]);

/* A factor is the float32 number mantissa * 2^-shift; the mantissa has 24 bits. */
struct factor { uint32_t mantissa; int shift; };

/* Weights [outputs][rows][columns][channels] over an image [height][width][channels], whose integers stand for what is above
 * `zero_point`; around it there are zeros. Output o of each place becomes pixel place[o] of a block of `stride` rows and columns. */
struct layer {
    const int8_t *weights;
    const int32_t *bias;
    const struct factor *factors;
    int outputs, factor_count, rows, columns, pad, channels, height, width, zero_point, stride, new_height, new_width, new_zero_point;
};

{{constants}}
static uint8_t first_buffer[{{buffer_bytes}}], second_buffer[{{buffer_bytes}}];

/* The number that float32 arithmetic makes of sum * factor, rounded half to even, plus the zero point, from 0 to 255. */
static uint8_t stored(int32_t sum, struct factor factor, int zero_point)
{
    int negative = sum < 0, shift = factor.shift, bits = 0;
    uint64_t product = negative ? (uint64_t)0 - (uint64_t)(int64_t)sum : (uint64_t)sum, rest, half;
    int32_t level;
    int round;
    /* Three roundings to even: of the sum to 24 bits, of the product to 24 bits, and of that to a whole number. */
    for (round = 0; round < 3; round++) {
        int excess = shift;
        if (round < 2) {
            for (bits = 0; product >> bits > 0; bits++) { }
            excess = bits - 24;
        }
        if (excess > 62) {
            product = 0;
        } else if (excess > 0) {
            rest = product & (((uint64_t)1 << excess) - 1);
            half = (uint64_t)1 << (excess - 1);
            product >>= excess;
            product += rest > half || (rest == half && (product & 1));
            shift -= excess;
        }
        if (round == 0) {
            product *= factor.mantissa;
        }
    }
    while (shift < 0 && product < 1024) {
        product <<= 1;
        shift++;
    }
    if (product > 1023) {
        product = 1023; /* beyond all levels, whatever the zero point is */
    }
    level = zero_point + (negative ? -(int32_t)product : (int32_t)product);
    return (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
}

static void convolve(const struct layer *layer, const uint8_t *image, uint8_t *result)
{
    int high = layer->new_height, wide = layer->new_width, stride = layer->stride, y, x, output, row, column, channel;
    int new_channels = layer->outputs / (stride * stride);
    for (y = 0; y * stride < high; y++) {
        for (x = 0; x * stride < wide; x++) {
            const int8_t *weight = layer->weights;
            for (output = 0; output < layer->outputs; output++) {
                int32_t sum = layer->bias[output];
                int phase = output / new_channels, to_y = y * stride + phase / stride, to_x = x * stride + phase % stride;
                for (row = 0; row < layer->rows; row++) {
                    int from_y = y + row - layer->pad;
                    for (column = 0; column < layer->columns; column++) {
                        int from_x = x + column - layer->pad;
                        if (from_y >= 0 && from_y < layer->height && from_x >= 0 && from_x < layer->width) {
                            const uint8_t *from = image + (from_y * layer->width + from_x) * layer->channels;
                            for (channel = 0; channel < layer->channels; channel++) {
                                sum += (from[channel] - layer->zero_point) * weight[channel];
                            }
                        }
                        weight += layer->channels;
                    }
                }
                if (to_y < high && to_x < wide) {
                    result[(to_y * wide + to_x) * new_channels + output % new_channels] =
                        stored(sum, layer->factors[output % layer->factor_count], layer->new_zero_point);
                }
            }
        }
    }
}
{{scan}}
void pocketgan_draw(const int8_t latents[POCKETGAN_LATENTS], int label, uint8_t image[POCKETGAN_HEIGHT * POCKETGAN_WIDTH])
{
    uint8_t *current = first_buffer, *next = second_buffer, *spare;
    int place;
    (void)spare;
{{steps}}}
