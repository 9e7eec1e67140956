#!/usr/bin/perl
# Prints the character vectors of an R package's lazy-load database (Rdata.rdb), one string a line,
# an empty line between vectors. The file is a row of objects, each a length of four bytes and a
# zlib stream of R's serialisation in XDR ("X\n", version 2 or 3).
use strict;
use warnings;
use Compress::Zlib;

my ($path) = @ARGV or die "usage: r-strings.pl Rdata.rdb\n";
open(my $file, '<:raw', $path) or die "$path: $!\n";
my $rest = do { local $/; <$file> };
my ($string_vector, $between) = (16, '');
binmode STDOUT;

while (length $rest > 4) {
    my $stream = substr($rest, 4);
    my $inflate = inflateInit() or die "zlib does not start\n";
    my ($object, $status) = $inflate->inflate($stream);
    $status == Z_STREAM_END or die "$path: a damaged stream: $status\n";
    $rest = $stream;

    my ($version) = unpack 'x2 N', $object;
    my $at = 14;
    $at += 4 + unpack("x$at N", $object) if $version == 3;    # the name of the encoding
    my ($flags, $strings) = unpack "x$at N N", $object;
    $at += 8;
    next if ($flags & 0xff) != $string_vector;

    print $between;
    $between = "\n";
    for (1 .. $strings) {
        my ($length) = unpack 'x4 l>', substr($object, $at, 8);
        $length = 0 if $length < 0;    # NA
        print substr($object, $at + 8, $length), "\n";
        $at += 8 + $length;
    }
}
