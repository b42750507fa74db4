"""What receivers say: bytes to fixes, by NMEA, UBX or gpsd's JSON."""
