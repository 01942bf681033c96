// Convolutions of 3 × 3 and stride 1 with up to four times fewer multiplications, for src/nn/winograd.rs.
//
// Compiled once for each set of vector instructions: RUN and SCRATCH_BYTES are the names of its functions, LANES the numbers in a
// vector, ROWS and VECTORS (of LANES) the size of the block of sums that stays in registers.
//
// An output y of a row of pixels d under weights g is a product of polynomials, known by its values at six points (Toom, Cook;
// Winograd 1980; Lavin & Gray 2016, arXiv 1509.09308): Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)] A makes 4 × 4 outputs of 6 × 6 products, where
// the sum over channels is a product of matrices for each of the 36. The points 0, ±5/8, ±3/2 and ∞ round least of those tried.
// At the right and lower edge a tile makes fewer outputs, of some of these points alone, by the same weights.
//
// No function of a library whose code is made where it is called (`inline`, templates) is used here: the linker could take this
// file's copy, and its instructions, for the whole program.

#include <cstddef>
#include <cstdint>

namespace thingsvision {

// Images [n, h, w, c] and a convolution to k channels with `padding` zeros on each side. All channels lie next to each other.
struct Convolution {
  int64_t n, h, w, c, k, padding;
  int64_t h_out() const { return h + 2 * padding - 2; }
  int64_t w_out() const { return w + 2 * padding - 2; }
};

namespace {

constexpr int64_t round_up(int64_t number, int64_t step) { return (number + step - 1) / step * step; }

constexpr int PANEL = 32, SIDE = 6, PLANES = SIDE * SIDE;
typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
#define INLINE inline __attribute__((always_inline))

INLINE Vector load(const float *from) { return *reinterpret_cast<const Unaligned *>(from); }
INLINE void store(float *to, Vector value) { *reinterpret_cast<Unaligned *>(to) = value; }

// The points: 0, ±NEAR, ±FAR, ∞.
constexpr float NEAR = 0.625f, FAR = 1.5f, NEAR2 = NEAR * NEAR, FAR2 = FAR * FAR;

// Which points a tile of M outputs uses.
constexpr int POINTS[5] = {0, 3, 4, 5, 6};
constexpr int POINT[5][SIDE] = {{}, {0, 1, 5}, {0, 1, 2, 5}, {0, 1, 2, 3, 5}, {0, 1, 2, 3, 4, 5}};

// Bᵀ d for M outputs, M + 2 inputs, the weights' denominators those of four outputs.
template <int M> INLINE void spread(const Vector *d, Vector *to) {
  if constexpr (M == 4) {
    const Vector even_near = d[4] - FAR2 * d[2], odd_near = NEAR * (d[3] - FAR2 * d[1]);
    const Vector even_far = d[4] - NEAR2 * d[2], odd_far = FAR * (d[3] - NEAR2 * d[1]);
    to[0] = d[4] - (NEAR2 + FAR2) * d[2] + NEAR2 * FAR2 * d[0];
    to[1] = even_near + odd_near;
    to[2] = even_near - odd_near;
    to[3] = even_far + odd_far;
    to[4] = even_far - odd_far;
    to[5] = d[5] - (NEAR2 + FAR2) * d[3] + NEAR2 * FAR2 * d[1];
  } else if constexpr (M == 3) {
    const Vector at_far = d[3] - NEAR2 * d[1], near = d[3] - FAR * d[2], plus = d[2] - FAR * d[1];
    to[0] = FAR * (at_far - FAR * (d[2] - NEAR2 * d[0]));
    to[1] = (NEAR + FAR) * (near + NEAR * plus);
    to[2] = (FAR - NEAR) * (near - NEAR * plus);
    to[3] = 2 * FAR * at_far;
    to[4] = d[4] - NEAR2 * d[2] - FAR * at_far;
  } else if constexpr (M == 2) {
    to[0] = FAR2 * (NEAR2 * d[0] - d[2]);
    to[1] = (NEAR2 - FAR2) * (d[2] + NEAR * d[1]);
    to[2] = (NEAR2 - FAR2) * (d[2] - NEAR * d[1]);
    to[3] = d[3] - NEAR2 * d[1];
  } else {
    to[0] = NEAR * FAR2 * (NEAR * d[0] - d[1]);
    to[1] = 2 * NEAR * (NEAR2 - FAR2) * d[1];
    to[2] = d[2] - NEAR * d[1];
  }
}

// Aᵀ m.
template <int M> INLINE void gather(const Vector *m, Vector *to) {
  if constexpr (M == 4) {
    const Vector near = m[1] + m[2], near_odd = m[1] - m[2], far = m[3] + m[4], far_odd = m[3] - m[4];
    to[0] = m[0] + near + far;
    to[1] = NEAR * near_odd + FAR * far_odd;
    to[2] = NEAR2 * near + FAR2 * far;
    to[3] = NEAR * NEAR2 * near_odd + (FAR * FAR2 * far_odd + m[5]);
  } else if constexpr (M == 3) {
    const Vector near = m[1] + m[2];
    to[0] = m[0] + near + m[3];
    to[1] = NEAR * (m[1] - m[2]) + FAR * m[3];
    to[2] = NEAR2 * near + (FAR2 * m[3] + m[4]);
  } else if constexpr (M == 2) {
    to[0] = m[0] + (m[1] + m[2]);
    to[1] = NEAR * (m[1] - m[2]) + m[3];
  } else {
    to[0] = m[0] + m[1] + m[2];
  }
}

// Where a tile's outputs begin, how many rows and columns they have, and its row in each plane's matrix.
struct Tile {
  int64_t image, y, x;
  int rows, columns;
  int at[PLANES];
};

// The matrices of a block of tiles: inputs [plane][c / LANES][tile][LANES], products [plane][tile][PANEL]. All planes are there
// at once, or, where many channels make their weights large, those of one row of points after the other: six times as many tiles
// share a look at a weight, and outputs are summed up where they are written.
struct Block {
  int64_t tiles, channels, planes, input_plane, product_plane;
  float *inputs, *products;
  Tile *list;
};

// Lines of memory whose distances are powers of two would share a place in the cache.
constexpr int64_t apart(int64_t numbers) { return numbers + 16 * (1 - numbers / 16 % 2); }

// Up to how many channels all planes are there at once: measured, as the sizes below.
constexpr int64_t NARROW = 256;

// A block stays in the second level of the cache; by rows, at least five parts of tiles look at a weight, in less than 4 MB.
int64_t tiles_of(int64_t channels, int64_t planes) {
  const int64_t a_tile = 4 * planes * (channels + PANEL);
  const int64_t fit = (planes == PLANES ? 700000 : 1300000) / a_tile / ROWS * ROWS, most = 3700000 / a_tile / ROWS * ROWS;
  const int64_t least = planes == PLANES ? ROWS : 5 * ROWS;
  const int64_t tiles = fit > least ? fit : least;
  return tiles < most ? tiles : most > ROWS ? most : ROWS;
}

Block block_of(const Convolution &conv, void *scratch) {
  Block block;
  block.channels = round_up(conv.c, 16);
  block.planes = conv.c <= NARROW ? PLANES : SIDE;
  block.tiles = tiles_of(block.channels, block.planes);
  block.input_plane = apart(block.channels * block.tiles);
  block.product_plane = apart(block.tiles * PANEL);
  block.inputs = static_cast<float *>(scratch);
  block.products = block.inputs + block.planes * block.input_plane;
  block.list = reinterpret_cast<Tile *>(block.products + block.planes * block.product_plane);
  return block;
}

// The LANES numbers that each pixel of a tile has from channel `c` on, zeros where there are fewer, and outside of the picture.
void copy_pixels(const Convolution &conv, const float *x, const Tile &tile, int64_t c, float *pixels, int height, int width) {
  for (int i = 0; i < height; i++) {
    for (int j = 0; j < width; j++, pixels += LANES) {
      const int64_t y_at = tile.y - conv.padding + i, x_at = tile.x - conv.padding + j;
      if (y_at < 0 || x_at < 0 || y_at >= conv.h || x_at >= conv.w) {
        store(pixels, Vector{});
        continue;
      }
      const float *from = x + ((tile.image * conv.h + y_at) * conv.w + x_at) * conv.c + c;
      if (c + LANES <= conv.c) {
        store(pixels, load(from));
      } else {
        for (int lane = 0; lane < LANES; lane++) pixels[lane] = c + lane < conv.c ? from[lane] : 0;
      }
    }
  }
}

// Calls `each(pixels, row, column, offset)` for all channels of a tile of some outputs: pixel i, j is at
// `pixels + i * row + j * column`, the place of the channels in a plane's matrix at `offset`.
template <typename Each>
INLINE void for_channels(const Convolution &conv, const float *x, const Tile &tile, const Block &block, int rows, int columns, Each each) {
  const int64_t top = tile.y - conv.padding, left = tile.x - conv.padding;
  const bool inside = top >= 0 && left >= 0 && top + rows + 2 <= conv.h && left + columns + 2 <= conv.w;
  const float *corner = inside ? x + ((tile.image * conv.h + top) * conv.w + left) * conv.c : x;
  for (int64_t c = 0; c < block.channels; c += LANES) {
    alignas(64) float pixels[SIDE * SIDE * LANES];
    if (inside && c + LANES <= conv.c) {
      each(corner + c, conv.w * conv.c, conv.c, c * block.tiles);
    } else {
      copy_pixels(conv, x, tile, c, pixels, rows + 2, columns + 2);
      each(pixels, (columns + 2) * LANES, LANES, c * block.tiles);
    }
  }
}

// The inputs of a tile in all planes.
template <int ROW, int COLUMN> void transform_input(const Convolution &conv, const float *x, const Tile &tile, const Block &block) {
  constexpr int HEIGHT = POINTS[ROW], WIDTH = POINTS[COLUMN];
  float *to[HEIGHT * WIDTH];
  for (int i = 0; i < HEIGHT; i++) {
    for (int j = 0; j < WIDTH; j++) {
      const int plane = POINT[ROW][i] * SIDE + POINT[COLUMN][j];
      to[i * WIDTH + j] = block.inputs + plane * block.input_plane + tile.at[plane] * LANES;
    }
  }
  for_channels(conv, x, tile, block, ROW, COLUMN, [&](const float *pixels, int64_t row, int64_t column, int64_t offset) {
    Vector half[WIDTH][ROW + 2];
    for (int i = 0; i < ROW + 2; i++) {
      Vector d[COLUMN + 2], o[WIDTH];
      for (int j = 0; j < COLUMN + 2; j++) d[j] = load(pixels + i * row + j * column);
      spread<COLUMN>(d, o);
      for (int j = 0; j < WIDTH; j++) half[j][i] = o[j];
    }
    for (int j = 0; j < WIDTH; j++) {
      Vector o[HEIGHT];
      spread<ROW>(half[j], o);
      for (int i = 0; i < HEIGHT; i++) store(to[i * WIDTH + j] + offset, o[i]);
    }
  });
}

// The six numbers by which `spread` gives the value at a point, and `gather` the share of a point in each output.
struct Shares {
  float spread[5][SIDE][SIDE], gather[5][SIDE][4];
};

template <int M> void fill_shares(Shares &shares) {
  for (int i = 0; i < M + 2; i++) {
    Vector d[M + 2] = {}, o[POINTS[M]];
    d[i] += 1.0f;
    spread<M>(d, o);
    for (int point = 0; point < POINTS[M]; point++) shares.spread[M][point][i] = o[point][0];
  }
  for (int point = 0; point < POINTS[M]; point++) {
    Vector m[POINTS[M]] = {}, o[M];
    m[point] += 1.0f;
    gather<M>(m, o);
    for (int i = 0; i < M; i++) shares.gather[M][point][i] = o[i][0];
  }
}

// The inputs of a tile in the planes of one of its rows of points.
template <int COLUMN>
void transform_input_row(const Convolution &conv, const float *x, const Tile &tile, const Block &block, const Shares &shares, int point) {
  constexpr int WIDTH = POINTS[COLUMN];
  float *to[WIDTH];
  for (int j = 0; j < WIDTH; j++) {
    const int column = POINT[COLUMN][j], plane = POINT[tile.rows][point] * SIDE + column;
    to[j] = block.inputs + column * block.input_plane + tile.at[plane] * LANES;
  }
  const float *share = shares.spread[tile.rows][point];
  int from = 0, until = tile.rows + 2;
  while (share[from] == 0) from++;
  while (share[until - 1] == 0) until--;
  for_channels(conv, x, tile, block, tile.rows, COLUMN, [&](const float *pixels, int64_t row, int64_t column, int64_t offset) {
    Vector d[COLUMN + 2] = {}, o[WIDTH];
    for (int i = from; i < until; i++) {
      for (int j = 0; j < COLUMN + 2; j++) d[j] += share[i] * load(pixels + i * row + j * column);
    }
    spread<COLUMN>(d, o);
    for (int j = 0; j < WIDTH; j++) store(to[j] + offset, o[j]);
  });
}

// What becomes of sums on the way out.
struct Ending {
  const float *scale, *bias;
  bool relu;
};

// The outputs in LANES channels from `k` on. `zero` stays 0 while all are finite: 0 times anything else is no number.
INLINE void finish(const Convolution &conv, const Ending &ending, int64_t k, Vector value, float *to, Vector &zero) {
  value = value * load(ending.scale + k) + load(ending.bias + k);
  zero += value * 0.0f;
  // Not `max`, which need not keep NaN.
  if (ending.relu) value = value < 0.0f ? Vector{} : value;
  if (k + LANES <= conv.k) {
    store(to, value);
  } else {
    for (int lane = 0; lane < conv.k - k; lane++) to[lane] = value[lane];
  }
}

INLINE bool all_zero(Vector value) {
  float sum = 0;
  for (int lane = 0; lane < LANES; lane++) sum += value[lane];
  return sum == 0;
}

INLINE float *place(const Convolution &conv, const Tile &tile, float *y, int i, int j) {
  return y + ((tile.image * conv.h_out() + tile.y + i) * conv.w_out() + tile.x + j) * conv.k;
}

// Writes the outputs of a tile in the channels of a panel, from `k` on, and returns whether they are finite.
template <int ROW, int COLUMN>
bool transform_output(const Convolution &conv, const Block &block, const Tile &tile, int64_t panel, const Ending &ending, float *y) {
  constexpr int HEIGHT = POINTS[ROW], WIDTH = POINTS[COLUMN];
  Vector zero = {};
  for (int64_t k = panel; k < panel + PANEL && k < conv.k; k += LANES) {
    Vector half[ROW][WIDTH];
    for (int j = 0; j < WIDTH; j++) {
      Vector m[HEIGHT], o[ROW];
      for (int i = 0; i < HEIGHT; i++) {
        const int plane = POINT[ROW][i] * SIDE + POINT[COLUMN][j];
        m[i] = load(block.products + plane * block.product_plane + tile.at[plane] * PANEL + (k - panel));
      }
      gather<ROW>(m, o);
      for (int i = 0; i < ROW; i++) half[i][j] = o[i];
    }
    for (int i = 0; i < ROW; i++) {
      Vector o[COLUMN];
      gather<COLUMN>(half[i], o);
      for (int j = 0; j < COLUMN; j++) finish(conv, ending, k, o[j], place(conv, tile, y, i, j) + k, zero);
    }
  }
  return all_zero(zero);
}

// Adds the share of a row of points to the outputs of a tile. The first output has the point 0 alone beside the others, the last ∞.
template <int COLUMN>
bool transform_output_row(const Convolution &conv, const Block &block, const Tile &tile, int64_t panel, const Ending &ending,
                          const Shares &shares, int point, float *y) {
  constexpr int WIDTH = POINTS[COLUMN];
  const int last = POINTS[tile.rows] - 1;
  Vector zero = {};
  for (int64_t k = panel; k < panel + PANEL && k < conv.k; k += LANES) {
    Vector m[WIDTH], o[COLUMN];
    for (int j = 0; j < WIDTH; j++) {
      const int column = POINT[COLUMN][j], plane = POINT[tile.rows][point] * SIDE + column;
      m[j] = load(block.products + column * block.product_plane + tile.at[plane] * PANEL + (k - panel));
    }
    gather<COLUMN>(m, o);
    for (int i = 0; i < tile.rows; i++) {
      const float share = shares.gather[tile.rows][point][i];
      if (share == 0) continue;
      const bool first = point == (i == 0 ? 0 : 1), done = point == (i == tile.rows - 1 ? last : last - 1);
      for (int j = 0; j < COLUMN; j++) {
        float *to = place(conv, tile, y, i, j) + k;
        Vector value = share * o[j];
        if (k + LANES <= conv.k) {
          if (!first) value += load(to);
          if (!done) store(to, value);
        } else {
          for (int lane = 0; !first && lane < conv.k - k; lane++) value[lane] += to[lane];
          for (int lane = 0; !done && lane < conv.k - k; lane++) to[lane] = value[lane];
        }
        if (done) finish(conv, ending, k, value, to, zero);
      }
    }
  }
  return all_zero(zero);
}

// So many channels are summed up in registers, and these sums in memory. One long sum rounds more than all the rest: of 512 channels
// with 2.2e-6 of the largest output instead of 6e-7, and is 4 % faster.
constexpr int64_t CHUNK = 32;

// R rows of inputs times a panel of weights [channels, PANEL]. The sum over channels is formed in their order, whatever R is: a
// row does not depend on its neighbours. Meanwhile `lines` lines of each 16 rows of `ahead`, which comes next, are fetched.
template <int R>
__attribute__((noinline)) void multiply(const float *inputs, int64_t block, const float *weights, int64_t channels, float *products,
                                        const float *ahead, int64_t lines) {
  for (int v = 0; v < PANEL; v += VECTORS * LANES) {
    const float *a = inputs, *b = weights + v;
    for (int64_t chunk = 0; chunk < channels; chunk += CHUNK) {
      const int64_t end = chunk + CHUNK < channels ? chunk + CHUNK : channels;
      Vector sum[R][VECTORS] = {};
      for (int64_t c = chunk; c < end; c += LANES, a += block) {
        if (v == 0 && c % 16 == 0) {
          for (int64_t line = 0; line < lines; line++, ahead += 16) __builtin_prefetch(ahead, 0, 2);
        }
        for (int lane = 0; lane < LANES; lane++, b += PANEL) {
          Vector w[VECTORS];
#pragma GCC unroll 2
          for (int i = 0; i < VECTORS; i++) w[i] = load(b + i * LANES);
#pragma GCC unroll 16
          for (int r = 0; r < R; r++) {
#pragma GCC unroll 2
            for (int i = 0; i < VECTORS; i++) sum[r][i] += a[r * LANES + lane] * w[i];
          }
        }
      }
      for (int r = 0; r < R; r++) {
        for (int i = 0; i < VECTORS; i++) {
          float *to = products + r * PANEL + v + i * LANES;
          store(to, chunk == 0 ? sum[r][i] : load(to) + sum[r][i]);
        }
      }
    }
  }
}

template <int R>
INLINE void multiply_rows(int64_t rows, const float *inputs, int64_t block, const float *weights, int64_t channels, float *products,
                          const float *ahead, int64_t lines) {
  if constexpr (R > 1) {
    if (rows < R) return multiply_rows<R - 1>(rows, inputs, block, weights, channels, products, ahead, lines);
  }
  multiply<R>(inputs, block, weights, channels, products, ahead, lines);
}

// The product of a plane, its rows in parts of about the same size, of at most ROWS.
void multiply_plane(const Block &block, int64_t plane, int64_t rows, const float *weights, const float *next) {
  const int64_t parts = (rows + ROWS - 1) / ROWS, lines = (PANEL + parts - 1) / (parts ? parts : 1);
  for (int64_t part = 0, begin = 0; part < parts; part++) {
    const int64_t end = rows * (part + 1) / parts;
    multiply_rows<ROWS>(end - begin, block.inputs + plane * block.input_plane + begin * LANES, block.tiles * LANES, weights,
                        block.channels, block.products + plane * block.product_plane + begin * PANEL,
                        next + part * lines * block.channels, lines);
    begin = end;
  }
}

// `FUNCTION<columns>` for a tile.
#define OF_COLUMNS(FUNCTION, tile, ...)                                                                                          \
  ((tile).columns == 1   ? FUNCTION<1>(__VA_ARGS__)                                                                              \
   : (tile).columns == 2 ? FUNCTION<2>(__VA_ARGS__)                                                                              \
   : (tile).columns == 3 ? FUNCTION<3>(__VA_ARGS__)                                                                              \
                         : FUNCTION<4>(__VA_ARGS__))

template <int ROW> void input_of_rows(const Convolution &conv, const float *x, const Tile &tile, const Block &block) {
  tile.columns == 1   ? transform_input<ROW, 1>(conv, x, tile, block)
  : tile.columns == 2 ? transform_input<ROW, 2>(conv, x, tile, block)
  : tile.columns == 3 ? transform_input<ROW, 3>(conv, x, tile, block)
                      : transform_input<ROW, 4>(conv, x, tile, block);
}

template <int ROW>
bool output_of_rows(const Convolution &conv, const Block &block, const Tile &tile, int64_t k, const Ending &ending, float *y) {
  return tile.columns == 1   ? transform_output<ROW, 1>(conv, block, tile, k, ending, y)
         : tile.columns == 2 ? transform_output<ROW, 2>(conv, block, tile, k, ending, y)
         : tile.columns == 3 ? transform_output<ROW, 3>(conv, block, tile, k, ending, y)
                             : transform_output<ROW, 4>(conv, block, tile, k, ending, y);
}

// The next tiles of a block, from number `tile` on, and how many rows each plane's matrix has.
int64_t list_tiles(const Convolution &conv, const Block &block, int64_t first, int64_t end, int64_t *rows) {
  const auto at_most_four = [](int64_t number) { return static_cast<int>(number < 4 ? number : 4); };
  const int64_t across = (conv.w_out() + 3) / 4, down = (conv.h_out() + 3) / 4;
  for (int plane = 0; plane < PLANES; plane++) rows[plane] = 0;
  int64_t number = 0;
  for (; number < block.tiles && first + number < end; number++) {
    const int64_t tile = first + number, row = tile / across;
    Tile &next = block.list[number];
    next.image = row / down, next.y = row % down * 4, next.x = tile % across * 4;
    next.rows = at_most_four(conv.h_out() - next.y), next.columns = at_most_four(conv.w_out() - next.x);
    for (int i = 0; i < POINTS[next.rows]; i++) {
      for (int j = 0; j < POINTS[next.columns]; j++) {
        const int plane = POINT[next.rows][i] * SIDE + POINT[next.columns][j];
        next.at[plane] = static_cast<int>(rows[plane]++);
      }
    }
  }
  return number;
}

void whole_block(const Convolution &conv, const Block &block, int64_t tiles, const int64_t *rows, const float *x,
                 const float *weights, const Ending &ending, float *y, unsigned char *finite) {
  for (int64_t t = 0; t < tiles; t++) {
    const Tile &tile = block.list[t];
    tile.rows == 1   ? input_of_rows<1>(conv, x, tile, block)
    : tile.rows == 2 ? input_of_rows<2>(conv, x, tile, block)
    : tile.rows == 3 ? input_of_rows<3>(conv, x, tile, block)
                     : input_of_rows<4>(conv, x, tile, block);
  }
  const int64_t panel = block.channels * PANEL;
  for (int64_t k = 0; k < conv.k; k += PANEL) {
    for (int plane = 0; plane < PLANES; plane++, weights += panel) multiply_plane(block, plane, rows[plane], weights, weights + panel);
    for (int64_t t = 0; t < tiles; t++) {
      const Tile &tile = block.list[t];
      const bool good = tile.rows == 1   ? output_of_rows<1>(conv, block, tile, k, ending, y)
                        : tile.rows == 2 ? output_of_rows<2>(conv, block, tile, k, ending, y)
                        : tile.rows == 3 ? output_of_rows<3>(conv, block, tile, k, ending, y)
                                         : output_of_rows<4>(conv, block, tile, k, ending, y);
      if (!good) finite[tile.image] = 0;
    }
  }
}

// The place among a tile's points of one of the six, or −1.
int place_of(int rows, int row) {
  for (int i = 0; i < POINTS[rows]; i++) {
    if (POINT[rows][i] == row) return i;
  }
  return -1;
}

void block_by_rows(const Convolution &conv, const Block &block, int64_t tiles, const int64_t *rows, const float *x,
                   const float *weights, const Ending &ending, const Shares &shares, float *y, unsigned char *finite) {
  const int64_t panel = block.channels * PANEL;
  for (int row = 0; row < SIDE; row++) {
    for (int64_t t = 0; t < tiles; t++) {
      const Tile &tile = block.list[t];
      const int point = place_of(tile.rows, row);
      if (point >= 0) OF_COLUMNS(transform_input_row, tile, conv, x, tile, block, shares, point);
    }
    for (int64_t k = 0; k < conv.k; k += PANEL) {
      const float *of_row = weights + (k / PANEL * PLANES + row * SIDE) * panel;
      for (int column = 0; column < SIDE; column++, of_row += panel) {
        const float *next = column + 1 < SIDE ? of_row + panel : of_row + (PLANES - SIDE + 1) * panel;
        multiply_plane(block, column, rows[row * SIDE + column], of_row, next);
      }
      for (int64_t t = 0; t < tiles; t++) {
        const Tile &tile = block.list[t];
        const int point = place_of(tile.rows, row);
        if (point < 0) continue;
        if (!OF_COLUMNS(transform_output_row, tile, conv, block, tile, k, ending, shares, point, y)) finite[tile.image] = 0;
      }
    }
  }
}

} // namespace
} // namespace thingsvision

// What the kernel is given, as `Task` of src/nn/winograd.rs.
struct Task {
  thingsvision::Convolution convolution;
  const float *x, *weights, *scale, *bias;
  bool relu;
  int64_t first, end;
  float *y;
  void *scratch;
  unsigned char *finite;
};

// Computes the tiles from `first` until `end`, four rows and columns of outputs each, counted along the rows of image after image:
// of `x` and weights [K / 32][36][C][32] (C and K rounded up to multiples of 16 and 32, with zeros), `y` = sums · `scale` + `bias`
// ([K], rounded up), and its ReLU if `relu`, which keeps NaN. `scratch` has room for SCRATCH_BYTES, aligned to 64 bytes. `finite` [n]
// becomes 0 for an image of which a tile has an output that is infinite or no number before the ReLU.
extern "C" void RUN(const Task *task) {
  using namespace thingsvision;
  const Convolution &conv = task->convolution;
  const Block block = block_of(conv, task->scratch);
  const Ending ending = {task->scale, task->bias, task->relu};
  Shares shares = {};
  fill_shares<1>(shares), fill_shares<2>(shares), fill_shares<3>(shares), fill_shares<4>(shares);
  for (int64_t image = 0; image < conv.n; image++) task->finite[image] = 1;
  for (int64_t first = task->first; first < task->end;) {
    int64_t rows[PLANES];
    const int64_t tiles = list_tiles(conv, block, first, task->end, rows);
    if (block.planes == PLANES) {
      whole_block(conv, block, tiles, rows, task->x, task->weights, ending, task->y, task->finite);
    } else {
      block_by_rows(conv, block, tiles, rows, task->x, task->weights, ending, shares, task->y, task->finite);
    }
    first += tiles;
  }
}

extern "C" size_t SCRATCH_BYTES(const thingsvision::Convolution *conv) {
  const thingsvision::Block block = thingsvision::block_of(*conv, nullptr);
  return 4 * block.planes * (block.input_plane + block.product_plane) + block.tiles * sizeof(thingsvision::Tile);
}
