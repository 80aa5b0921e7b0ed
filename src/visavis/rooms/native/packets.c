/* Sends the packets of a session to its viewers: for each viewer a header, SRTP and a system call. Cryptography is
 * libsrtp's, whose function the caller passes.
 */
#define _GNU_SOURCE /* sendmmsg */
#include "packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define API __attribute__((visibility("default")))
#define HEADER 12           /* bytes of an RTP header without extensions (RFC 3550, section 5.1) */
#define RESENDS_MAX 512     /* lost packets in a row; in the long run as many as are sent */
#define RESENDS_AT_FIRST 64 /* before much was sent */
#define SILENT 127          /* the level of silence (RFC 6464, section 3) */
#define VOICE 0x80          /* the bit of a packet with a voice */

static void put16(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value) {
    put16(at, value >> 16);
    put16(at + 2, value);
}

static Packet *packet_at(const Store *store, int64_t number) { return store->packets + number % store->capacity; }

/* Cut a picture (VP8) into packets of about the same size, and put them into the store from packet `next` on. Return
 * the packet after the last one; `next` if the picture does not fit into half of the store. */
API int64_t visavis_put_picture(
    const Store *store, int64_t next, const uint8_t *picture, int64_t size, uint32_t timestamp, int32_t picture_id,
    int32_t keyframe) {
    enum { DESCRIPTOR = 4, PART_MAX = PAYLOAD_MAX - DESCRIPTOR }; /* RFC 7741, section 4.2, with a PictureID */
    const int64_t parts = (size + PART_MAX - 1) / PART_MAX;
    if (parts > store->capacity / 2) return next;
    for (int64_t part = 0; part < parts; part++) {
        const int64_t from = size * part / parts, end = size * (part + 1) / parts;
        Packet *packet = packet_at(store, next + part);
        packet->timestamp = timestamp;
        packet->sent_time = 0;
        packet->size = (uint16_t)(DESCRIPTOR + end - from);
        packet->marker = part == parts - 1;
        packet->begins = keyframe && part == 0;
        packet->payload[0] = part == 0 ? 0x90 : 0x80; /* X; S: the start of a partition */
        packet->payload[1] = 0x80;                    /* I */
        put16(packet->payload + 2, 0x8000u | (uint32_t)picture_id);
        memcpy(packet->payload + DESCRIPTOR, picture + from, (size_t)(end - from));
    }
    return next + parts;
}

/* Put a block of sound (Opus) into the store as packet `next`. Return the packet after it; `next` if it is too long.
 * `level`: in -dBov, 0 to 127 (SILENT). */
API int64_t visavis_put_sound(
    const Store *store, int64_t next, const uint8_t *block, int64_t size, uint32_t timestamp, int32_t level) {
    if (size > PAYLOAD_MAX) return next;
    Packet *packet = packet_at(store, next);
    packet->timestamp = timestamp;
    packet->sent_time = 0;
    packet->size = (uint16_t)size;
    packet->marker = 0;
    packet->begins = 1;
    packet->level = (uint8_t)(level < SILENT ? VOICE | level : SILENT);
    memcpy(packet->payload, block, (size_t)size);
    return next + 1;
}

/* Add one protected packet to the batch. `lost`: the sequence number of the packet that it repeats on the stream of
 * retransmissions, or -1. */
static void seal(
    const Session *session, const Viewer *viewer, const Stream *stream, const Packet *packet, uint16_t sequence,
    int32_t lost, uint32_t time, Batch *batch) {
    uint8_t *const datagram = batch->datagrams[batch->count];
    const int repeated = lost >= 0;
    const uint8_t payload_type = repeated ? stream->resend_payload_type : stream->payload_type;
    datagram[0] = (uint8_t)(0x80 | (stream->extension_size ? 0x10 : 0));
    datagram[1] = (uint8_t)(packet->marker << 7 | payload_type);
    put16(datagram + 2, sequence);
    put32(datagram + 4, packet->timestamp + stream->timestamp_offset);
    put32(datagram + 8, repeated ? stream->resend_ssrc : stream->ssrc);
    uint8_t *at = datagram + HEADER;
    if (stream->extension_size) {
        memcpy(at, stream->extension, stream->extension_size);
        if (stream->time_at) {
            put16(at + stream->time_at, time >> 8);
            at[stream->time_at + 2] = (uint8_t)time;
        }
        if (stream->level_at) at[stream->level_at] = packet->level;
        at += stream->extension_size;
    }
    if (repeated) {
        put16(at, (uint32_t)lost);
        at += 2;
    }
    memcpy(at, packet->payload, packet->size);
    int size = (int)(at - datagram) + packet->size;
    if (session->protect(viewer->srtp, datagram, &size)) return;
    batch->sizes[batch->count++] = size;
}

/* Send the batch, and return how many of its datagrams the socket took. A datagram that it does not take is lost, as
 * on any network: the viewer reports it, and gets it again. */
static int32_t flush(const Viewer *viewer, Batch *batch) {
    struct iovec parts[BATCH];
    int32_t taken = 0;
#ifdef __linux__
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof *messages * (size_t)batch->count);
#else
    struct msghdr message = {0};
#endif
    for (int32_t k = 0; k < batch->count; k++) {
        parts[k] = (struct iovec){batch->datagrams[k], (size_t)batch->sizes[k]};
#ifdef __linux__
        struct msghdr *const header = &messages[k].msg_hdr;
        header->msg_name = (void *)viewer->address;
        header->msg_namelen = (socklen_t)viewer->address_size;
        header->msg_iov = parts + k;
        header->msg_iovlen = 1;
#endif
    }
    for (int32_t k = 0; k < batch->count;) {
#ifdef __linux__
        const int done = sendmmsg(viewer->socket, messages + k, (unsigned)(batch->count - k), MSG_DONTWAIT);
#else
        message.msg_name = (void *)viewer->address;
        message.msg_namelen = (socklen_t)viewer->address_size;
        message.msg_iov = parts + k;
        message.msg_iovlen = 1;
        const int done = sendmsg(viewer->socket, &message, MSG_DONTWAIT) < 0 ? -1 : 1;
#endif
        if (done > 0) {
            taken += done;
            k += done;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            break; /* the socket's buffer is full */
        } else if (errno != EINTR) {
            k++;
        }
    }
    batch->count = 0;
    return taken;
}

/* Note when packets are sent for the first time. All viewers are told that time, also those that get them later: a
 * packet that is sent again without a stream of its own must be the same, byte by byte. */
static void note_time(const Store *store, int64_t from, int64_t end, uint32_t time) {
    for (int64_t number = from; number < end; number++) {
        Packet *const packet = packet_at(store, number);
        if (!packet->sent_time) packet->sent_time = time ? time : 1;
    }
}

/* Seal packet `number` for a viewer, unless its stream waits for another one to begin with. */
static void seal_new(const Session *session, Viewer *viewer, int32_t kind, int64_t number, Batch *batch) {
    Stream *const stream = viewer->streams + kind;
    const Packet *const packet = packet_at(session->stores + kind, number);
    if (!stream->payload_type) return;
    if (stream->first < 0) {
        if (!packet->begins) return;
        stream->first = number;
        stream->sequence_offset = (uint16_t)(stream->next_sequence - (uint64_t)number);
        if (!stream->packets) stream->resends_left = RESENDS_AT_FIRST;
    }
    const uint16_t sequence = (uint16_t)((uint64_t)number + stream->sequence_offset);
    seal(session, viewer, stream, packet, sequence, -1, packet->sent_time, batch);
    stream->next_sequence = (uint16_t)(sequence + 1);
    stream->packets++;
    stream->bytes += packet->size;
    if (stream->resends_left < RESENDS_MAX) stream->resends_left++;
}

/* Seal the packets `from` to `end` for one viewer, at most BATCH, and leave them in the batch. Return how many. `time`:
 * as in Packet.sent_time. */
API int32_t visavis_seal(
    const Session *session, Viewer *viewer, int32_t kind, int64_t from, int64_t end, uint32_t time, Batch *batch) {
    batch->count = 0;
    note_time(session->stores + kind, from, end, time);
    for (int64_t number = from; number < end; number++) seal_new(session, viewer, kind, number, batch);
    return batch->count;
}

/* Send the packets `from` to `end` to all viewers that have a socket. Return how many viewers got any. */
API int32_t visavis_send(
    const Session *session, Viewer *const *viewers, int32_t count, int32_t kind, int64_t from, int64_t end,
    uint32_t time, Batch *batch) {
    int32_t served = 0;
    note_time(session->stores + kind, from, end, time);
    for (int32_t v = 0; v < count; v++) {
        Viewer *const viewer = viewers[v];
        if (viewer->socket < 0) continue;
        int32_t sealed = 0, taken = 0;
        batch->count = 0;
        for (int64_t number = from; number < end; number++) {
            seal_new(session, viewer, kind, number, batch);
            if (batch->count == BATCH || number == end - 1) {
                sealed += batch->count;
                taken += flush(viewer, batch);
            }
        }
        viewer->streams[kind].dropped += sealed - taken;
        served += taken > 0;
    }
    return served;
}

/* Whether a packet was sent again so recently that what asks for it left before it could arrive; else note that it is
 * sent now. A viewer may ask for a packet ten times in a round trip: each answer would lengthen the queue that lost
 * it. */
static int is_on_its_way(Stream *stream, int64_t number, uint32_t time) {
    Resent *const last = stream->newest_resent + number % RESENT_KEPT;
    const uint32_t name = (uint32_t)(number + 1);
    if (last->number == name && ((time - last->time) & 0xFFFFFF) < stream->resend_after) return 1;
    *last = (Resent){name, time};
    return 0;
}

/* Send lost packets again: `lost` are their sequence numbers, at most BATCH. A packet that was never sent or is no
 * longer in the store is passed over, and so is one that is on its way again. `end`: the packet after the newest one.
 * Return how many are sent; those of a viewer without a socket are left in the batch. */
API int32_t visavis_resend(
    const Session *session, Viewer *viewer, int32_t kind, int64_t end, const uint16_t *lost, int32_t count,
    uint32_t time, Batch *batch) {
    Stream *const stream = viewer->streams + kind;
    const Store *const store = session->stores + kind;
    batch->count = 0;
    if (stream->first < 0) return 0;
    for (int32_t k = 0; k < count; k++) {
        const uint16_t newest = (uint16_t)((uint64_t)(end - 1) + stream->sequence_offset);
        const int64_t number = end - 1 - (uint16_t)(newest - lost[k]);
        if (number < stream->first || number < end - store->capacity) continue;
        if (stream->resends_left <= 0) {
            stream->refused++;
            continue;
        }
        if (is_on_its_way(stream, number, time)) continue;
        stream->resends_left--;
        stream->resent++;
        const Packet *const packet = packet_at(store, number);
        if (stream->resend_payload_type) {
            seal(session, viewer, stream, packet, stream->next_resend_sequence++, lost[k], time, batch);
        } else { /* the same bytes as before: SRTP allows no others with this sequence number */
            seal(session, viewer, stream, packet, lost[k], -1, packet->sent_time, batch);
        }
    }
    const int32_t sealed = batch->count;
    if (viewer->socket >= 0) flush(viewer, batch);
    return sealed;
}

/* Set the address of a viewer. Return 0 if `host` is no address in figures. */
API int32_t visavis_set_address(Viewer *viewer, const char *host, int32_t port) {
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    memset(&v4, 0, sizeof v4);
    memset(&v6, 0, sizeof v6);
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons((uint16_t)port);
        memcpy(viewer->address, &v4, sizeof v4);
        viewer->address_size = sizeof v4;
    } else if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons((uint16_t)port);
        memcpy(viewer->address, &v6, sizeof v6);
        viewer->address_size = sizeof v6;
    } else {
        return 0;
    }
    return 1;
}

#define WHOLE(type) {#type, 0, (int32_t)sizeof(type)}
#define AT(type, field) {#type "." #field, (int32_t)offsetof(type, field), (int32_t)sizeof(((type *)0)->field)}

static const struct {
    const char *name;
    int32_t offset, size; /* bytes */
} LAYOUT[] = {
    WHOLE(Packet), AT(Packet, timestamp), AT(Packet, sent_time), AT(Packet, size), AT(Packet, marker),
    AT(Packet, begins), AT(Packet, level), AT(Packet, payload),
    WHOLE(Store), AT(Store, packets), AT(Store, capacity),
    WHOLE(Session), AT(Session, protect), AT(Session, stores),
    WHOLE(Stream), AT(Stream, ssrc), AT(Stream, resend_ssrc), AT(Stream, timestamp_offset),
    AT(Stream, sequence_offset), AT(Stream, next_sequence), AT(Stream, next_resend_sequence),
    AT(Stream, payload_type), AT(Stream, resend_payload_type), AT(Stream, extension_size), AT(Stream, time_at),
    AT(Stream, level_at), AT(Stream, extension), AT(Stream, resends_left), AT(Stream, resend_after),
    AT(Stream, first), AT(Stream, packets),
    AT(Stream, bytes), AT(Stream, dropped), AT(Stream, resent), AT(Stream, refused),
    AT(Stream, newest_resent), WHOLE(Resent), AT(Resent, number), AT(Resent, time),
    WHOLE(Viewer), AT(Viewer, srtp), AT(Viewer, socket), AT(Viewer, address_size), AT(Viewer, address),
    AT(Viewer, streams),
    WHOLE(Batch), AT(Batch, count), AT(Batch, sizes), AT(Batch, datagrams),
};

/* As visavis_layout in engine/native/layout.c, for the structs of packets.h. */
API int32_t visavis_packets_layout(const char *name, int32_t *size) {
    for (size_t k = 0; k < sizeof LAYOUT / sizeof *LAYOUT; k++) {
        if (strcmp(name, LAYOUT[k].name) != 0) continue;
        *size = LAYOUT[k].size;
        return LAYOUT[k].offset;
    }
    return -1;
}
