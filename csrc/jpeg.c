/* JPEG to RGB or CMYK bytes with libjpeg, accepting and refusing the files that Pillow accepts and refuses.
 *
 * libjpeg reports errors by a function that must not return. Here it jumps back (setjmp) inside C,
 * so nothing unwinds or jumps through Rust. Called by src/images/jpeg.rs, which documents the contract. */

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "jpeglib.h"
#include "jerror.h"

struct failure {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
    jmp_buf back;
    char *message;
};

static void fail(j_common_ptr info) {
    struct failure *failure = (struct failure *)info->err;
    (*info->err->format_message)(info, failure->message);
    longjmp(failure->back, 1);
}

/* Pillow reads on over every damage but one: when the data end before the picture does. */
static void warn(j_common_ptr info, int level) {
    if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) {
        struct failure *failure = (struct failure *)info->err;
        strcpy(failure->message, "the file ends in the middle of the picture");
        longjmp(failure->back, 1);
    }
    if (level < 0)
        info->err->num_warnings++;
}

static void set_up(struct jpeg_decompress_struct *info, struct failure *failure, char *message) {
    memset(info, 0, sizeof *info);
    info->err = jpeg_std_error(&failure->manager);
    failure->manager.error_exit = fail;
    failure->manager.emit_message = warn;
    failure->message = message;
}

static void read_header(struct jpeg_decompress_struct *info, const uint8_t *data, size_t length) {
    jpeg_create_decompress(info);
    jpeg_mem_src(info, data, length);
    jpeg_read_header(info, TRUE);
}

/* Width, height and number of colour components. Returns 0, or 1 with a message of at most JMSG_LENGTH_MAX bytes. */
int thingsvision_jpeg_size(const uint8_t *data, size_t length, uint32_t size[3], char *message) {
    struct jpeg_decompress_struct info;
    struct failure failure;
    set_up(&info, &failure, message);
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    read_header(&info, data, length);
    size[0] = info.image_width;
    size[1] = info.image_height;
    size[2] = (uint32_t)info.num_components;
    jpeg_destroy_decompress(&info);
    return 0;
}

/* All rows into `pixels`: `channels` bytes a pixel, 3 for RGB, 4 for CMYK; into `warnings` how often damage was read over.
 * Returns as above. */
int thingsvision_jpeg_decode(const uint8_t *data, size_t length, uint8_t *pixels, size_t row_bytes, int channels, long *warnings,
                             char *message) {
    struct jpeg_decompress_struct info;
    struct failure failure;
    set_up(&info, &failure, message);
    if (setjmp(failure.back)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    read_header(&info, data, length);
    info.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    info.dct_method = JDCT_ISLOW;
    jpeg_start_decompress(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = pixels + (size_t)info.output_scanline * row_bytes;
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    *warnings = info.err->num_warnings;
    jpeg_destroy_decompress(&info);
    return 0;
}
