# What R reads of a run in other forms, against NumPy's file of the same run. By hand, with the packages hdf5r and readr:
#
#     Rscript tests/forms.R NPY_RUN HDF5_RUN CSV_RUN LAYER
#
# Numbers are compared as float32, which R has not, by their bytes.

suppressMessages({library(hdf5r); library(readr)})
arguments <- commandArgs(trailingOnly = TRUE)
file <- function(run, ending) file.path(arguments[run], paste0(arguments[4], ending))

bytes <- function(numbers) writeBin(as.vector(numbers), raw(), size = 4)
check <- function(what, is_so) { if (!isTRUE(is_so)) stop(what, ": not the same"); cat("fine  ", what, "\n") }

# The header of an .npy ends where its length says; rows come one after the other.
whole <- readBin(file(1, ".npy"), raw(), n = base::file.size(file(1, ".npy")))
header <- readBin(whole[9:10], "integer", size = 2, signed = FALSE)
wanted <- whole[(11 + header):length(whole)]
names <- readLines(file.path(arguments[1], "images.txt"), encoding = "UTF-8")

hdf5 <- H5File$new(file(2, ".h5"), "r")
# The axes are in reverse: the numbers of a row follow on each other in memory, too.
check("hdf5r, numbers", identical(bytes(hdf5[["features"]]$read()), wanted))
check("hdf5r, names", identical(enc2utf8(hdf5[["images"]]$read()), names))

for (reader in c("readr", "read.csv")) {
  table <- if (reader == "readr") {
    read_csv(file(3, ".csv"), show_col_types = FALSE, col_types = cols(image = col_character(), .default = col_double()))
  } else {
    read.csv(file(3, ".csv"), check.names = FALSE, colClasses = c(image = "character"), encoding = "UTF-8")
  }
  check(paste0(reader, ", numbers"), identical(bytes(t(as.matrix(table[, -1]))), wanted))
  check(paste0(reader, ", names"), identical(table$image, names))
}
