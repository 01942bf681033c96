/* JPEG to sample planes or to RGB or CMYK rows with libjpeg, accepting and refusing the files that Pillow accepts and refuses.
 *
 * libjpeg reports errors by a function that must not return. Here it jumps back (setjmp) inside C,
 * so nothing unwinds or jumps through Rust. Called by src/images/formats/jpeg/libjpeg.rs, which documents the contract. */

#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "jpeglib.h"
#include "jerror.h"

/* The shapes that Rust knows; the names are explained there. */
struct plane {
    uint32_t horizontal, vertical; /* sampling factors */
    uint32_t columns, rows;        /* that the picture has */
    uint32_t stride, height;       /* that are written, whole blocks */
};
struct header {
    uint32_t width, height, components, is_ycc;
    struct plane planes[3];
};
struct region {
    uint32_t first_column, end_column, first_row, end_row;
};
/* In Rust: the inverse transform of 64 coefficients times their quantisation steps, to 8 rows of 8 samples. */
void thingsvision_jpeg_inverse_dct(const int16_t *coefficients, const uint16_t *steps, uint8_t *samples);

struct job {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
    jmp_buf back;
    char *message;
    const struct region *regions; /* of each component, or NULL for all */
    uint32_t row_of_units;
    int is_complete; /* all rows were decoded */
};

static void fail(j_common_ptr info) {
    struct job *job = (struct job *)info->err;
    (*info->err->format_message)(info, job->message);
    longjmp(job->back, 1);
}

/* Pillow reads on over every damage but one: when the data end before the picture does. */
static void warn(j_common_ptr info, int level) {
    if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF && !((struct job *)info->err)->is_complete) {
        struct job *job = (struct job *)info->err;
        strcpy(job->message, "the file ends in the middle of the picture");
        longjmp(job->back, 1);
    }
    if (level < 0)
        info->err->num_warnings++;
}

static void set_up(struct jpeg_decompress_struct *info, struct job *job, char *message) {
    memset(info, 0, sizeof *info);
    memset(job, 0, sizeof *job);
    info->err = jpeg_std_error(&job->manager);
    job->manager.error_exit = fail;
    job->manager.emit_message = warn;
    job->message = message;
}

static void read_header(struct jpeg_decompress_struct *info, const uint8_t *data, size_t length) {
    jpeg_create_decompress(info);
    jpeg_mem_src(info, data, length);
    jpeg_read_header(info, TRUE);
}

/* Blocks of which nothing is looked at are left as they are. */
static int is_wanted(const struct job *job, const jpeg_component_info *component, JDIMENSION column) {
    const struct region *region = &job->regions[component->component_index];
    uint32_t lines = (uint32_t)component->v_samp_factor * DCTSIZE;
    uint32_t first = job->row_of_units * lines;
    return column + DCTSIZE > region->first_column && column < region->end_column && first + lines > region->first_row &&
           first < region->end_row;
}

static void inverse_dct(j_decompress_ptr info, jpeg_component_info *component, JCOEFPTR coefficients, JSAMPARRAY output,
                        JDIMENSION column) {
    static const JQUANT_TBL none;
    const struct job *job = (const struct job *)info->err;
    const JQUANT_TBL *table = component->quant_table ? component->quant_table : &none;
    uint8_t block[DCTSIZE2];
    int row;
    if (job->regions && !is_wanted(job, component, column))
        return;
    thingsvision_jpeg_inverse_dct(coefficients, table->quantval, block);
    for (row = 0; row < DCTSIZE; row++)
        memcpy(output[row] + column, block + row * DCTSIZE, DCTSIZE);
}

static void select_inverse_dct(j_decompress_ptr info, jpeg_component_info *component, jpeg_idct_method *method, int *category) {
    (void)info;
    (void)component;
    (void)category;
    *method = inverse_dct;
}

/* The contents of `header`. Returns 0, or 1 with a message of at most JMSG_LENGTH_MAX bytes. */
int thingsvision_jpeg_header(const uint8_t *data, size_t length, struct header *header, char *message) {
    struct jpeg_decompress_struct info;
    struct job job;
    int i;
    set_up(&info, &job, message);
    if (setjmp(job.back)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    read_header(&info, data, length);
    header->width = info.image_width;
    header->height = info.image_height;
    header->components = (uint32_t)info.num_components;
    header->is_ycc = info.jpeg_color_space == JCS_YCbCr;
    for (i = 0; i < info.num_components && i < 3; i++) {
        const jpeg_component_info *component = &info.comp_info[i];
        struct plane *plane = &header->planes[i];
        plane->horizontal = (uint32_t)component->h_samp_factor;
        plane->vertical = (uint32_t)component->v_samp_factor;
        plane->columns = component->downsampled_width;
        plane->rows = component->downsampled_height;
        plane->stride = component->width_in_blocks * DCTSIZE;
        plane->height = info.total_iMCU_rows * plane->vertical * DCTSIZE;
    }
    jpeg_destroy_decompress(&info);
    return 0;
}

static void start(struct jpeg_decompress_struct *info) {
    info->dct_method = JDCT_ISLOW;
    jpeg_set_idct_method_selector(info, select_inverse_dct);
    jpeg_start_decompress(info);
}

/* The samples of each component, not upsampled, `[height, stride]` each; those outside of `regions` are left as they are.
 * Into `warnings` how often damage was read over. Returns as above. */
int thingsvision_jpeg_planes(const uint8_t *data, size_t length, const struct region *regions, uint8_t *const *planes,
                             long *warnings, char *message) {
    struct jpeg_decompress_struct info;
    struct job job;
    JSAMPROW rows[3][MAX_SAMP_FACTOR * DCTSIZE];
    JSAMPARRAY arrays[3] = {rows[0], rows[1], rows[2]};
    int i, row;
    set_up(&info, &job, message);
    if (setjmp(job.back)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    read_header(&info, data, length);
    info.raw_data_out = TRUE;
    job.regions = regions;
    start(&info);
    for (; info.output_scanline < info.output_height; job.row_of_units++) {
        for (i = 0; i < info.num_components && i < 3; i++) {
            const jpeg_component_info *component = &info.comp_info[i];
            size_t stride = (size_t)component->width_in_blocks * DCTSIZE;
            size_t first = (size_t)job.row_of_units * (size_t)component->v_samp_factor * DCTSIZE;
            for (row = 0; row < component->v_samp_factor * DCTSIZE; row++)
                rows[i][row] = planes[i] + (first + (size_t)row) * stride;
        }
        jpeg_read_raw_data(&info, arrays, (JDIMENSION)info.max_v_samp_factor * DCTSIZE);
    }
    job.is_complete = 1;
    jpeg_finish_decompress(&info);
    *warnings = info.err->num_warnings;
    jpeg_destroy_decompress(&info);
    return 0;
}

/* All rows into `pixels`, by libjpeg's own upsampling: `channels` bytes a pixel, 3 for RGB, 4 for CMYK. Returns as above. */
int thingsvision_jpeg_pixels(const uint8_t *data, size_t length, int channels, uint8_t *pixels, long *warnings,
                             char *message) {
    struct jpeg_decompress_struct info;
    struct job job;
    set_up(&info, &job, message);
    if (setjmp(job.back)) {
        jpeg_destroy_decompress(&info);
        return 1;
    }
    read_header(&info, data, length);
    info.out_color_space = channels == 4 ? JCS_CMYK : JCS_RGB;
    start(&info);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = pixels + (size_t)info.output_scanline * info.output_width * (size_t)channels;
        jpeg_read_scanlines(&info, &row, 1);
    }
    job.is_complete = 1;
    jpeg_finish_decompress(&info);
    *warnings = info.err->num_warnings;
    jpeg_destroy_decompress(&info);
    return 0;
}
