#include <stddef.h>
#include <stdio.h>

#define JPEG_INTERNALS // for jpegint.h, jerror.h and the type of a quantization table
#include <jpeglib.h>

// The inverse DCT that Pillow runs: of a block's coefficients, into eight rows from a column on.
void torchvision_exact_idct(j_decompress_ptr cinfo, jpeg_component_info *component, JCOEFPTR coefficients, JSAMPARRAY rows,
                            JDIMENSION column);
