/* The structs that Python fills. rooms/native/__init__.py mirrors each of them, and compares the layouts in memory when
 * it loads the library.
 */
#ifndef VISAVIS_PACKETS_H
#define VISAVIS_PACKETS_H

#include <stdint.h>

/* No IP packet is longer than 1,280 bytes, which every path carries (RFC 8200, section 5). Of these, IPv6 and UDP take
 * 48, a TURN channel 4, the RTP header 12, its extensions 32 (EXTENSION_MAX), the number of a retransmitted packet 2,
 * and the tag of SRTP 16. */
#define PAYLOAD_MAX 1164
#define EXTENSION_MAX 32
#define DATAGRAM_MAX 1360 /* what is sent, and the 144 bytes that SRTP may write behind it; a multiple of 16 */
#define BATCH 32          /* datagrams of one system call */
#define KINDS 2           /* video, sound */
#define RESENT_KEPT 256   /* packets of a stream that were sent again, whose time is kept: seconds of a bad network */

/* A packet of a session, before each viewer's header is put in front of it. */
typedef struct {
    uint32_t timestamp; /* of the medium, on the RTP clock; begins at 0 */
    uint32_t sent_time; /* when it was first sent: the low 24 bits of a time in units of 2^-18 s; 0: not yet */
    uint16_t size;      /* bytes of the payload */
    uint8_t marker;
    uint8_t begins; /* a viewer may begin with it: the first packet of a keyframe, and every packet of sound */
    uint8_t level;  /* of sound, as RFC 6464 writes it: 0x80 for a voice, and the level in -dBov, 127 for silence */
    uint8_t payload[PAYLOAD_MAX];
} Packet;

/* The newest packets of one kind. Packet n is at n % capacity. */
typedef struct {
    Packet *packets;
    int64_t capacity;
} Store;

/* Protects a packet in place and adds the size of the tag to `size`; 0: done (libsrtp's srtp_protect). */
typedef uint32_t (*Protect)(void *srtp, void *packet, int *size);

typedef struct {
    Protect protect;
    Store stores[KINDS];
} Session;

/* When a packet was sent again last. Packet n is at n % RESENT_KEPT. */
typedef struct {
    uint32_t number; /* the low 32 bits of 1 + n; 0: none */
    uint32_t time;   /* as in Packet.sent_time */
} Resent;

/* One kind of media on its way to one viewer. */
typedef struct {
    uint32_t ssrc, resend_ssrc;
    uint32_t timestamp_offset;
    uint16_t sequence_offset; /* packet n has the sequence number n + sequence_offset */
    uint16_t next_sequence, next_resend_sequence;
    uint8_t payload_type;        /* 0: the viewer does not take this kind */
    uint8_t resend_payload_type; /* 0: packets are sent again as they were (RFC 4588 was not agreed on) */
    uint8_t extension_size;      /* bytes of `extension`, a multiple of 4; 0: none */
    uint8_t time_at;             /* where in `extension` the time of sending is written; 0: nowhere */
    uint8_t level_at;            /* the same for the level of sound */
    uint8_t extension[EXTENSION_MAX];
    int32_t resends_left; /* falls by one with each packet that is sent again, and rises with each new one */
    uint32_t resend_after; /* a packet is sent again at most once in so long: as in Packet.sent_time; 0: at any time */
    int64_t first;        /* the first packet that this viewer got; -1: it waits for one that begins */
    int64_t packets, bytes; /* that were sent, without those that were sent again; bytes of payload */
    int64_t dropped;        /* packets that the socket did not take */
    int64_t resent, refused; /* lost packets that were sent again, and that were not, because there were too many */
    Resent newest_resent[RESENT_KEPT];
} Stream;

typedef struct {
    void *srtp;
    int32_t socket; /* -1: the caller sends what is sealed */
    int32_t address_size;
    uint8_t address[32];
    Stream streams[KINDS];
} Viewer;

/* Datagrams for one viewer. */
typedef struct {
    int32_t count;
    int32_t sizes[BATCH + 3]; /* the datagrams begin at a multiple of 16 */
    uint8_t datagrams[BATCH][DATAGRAM_MAX];
} Batch;

#endif
